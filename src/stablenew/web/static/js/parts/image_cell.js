// One image in the grid of Review: its element, made once and filled again and again.

import { thumbnailUrl } from "../data/api.js";
import { fill, h } from "./dom.js";
import { buildDots, describe, flagText, shownTags } from "./image_words.js";

/**
 * The element of a cell; `node.index` is the image it shows.
 * @param {{onClick: (event: MouseEvent, index: number) => void, onOpen: () => void}} options
 */
export function createCell({ onClick, onOpen }) {
  const picture = h("img", { alt: "", decoding: "async", draggable: "false" });
  const marks = h("span", { class: "marks" });
  const node = h("div", { class: "cell", role: "option" }, h("div", { class: "frame" }, picture, marks));
  node.parts = { picture, marks };
  node.addEventListener("click", (event) => onClick(event, node.index));
  node.addEventListener("dblclick", onOpen);
  return node;
}

/** Fill a cell with image `index` of `count`; `image` is undefined while it is not known. */
export function showCell(node, image, { index, count, isSelected, isCursor }) {
  node.index = index;
  node.id = `cell-${index}`;
  node.setAttribute("aria-setsize", String(count));
  node.setAttribute("aria-posinset", String(index + 1));
  node.setAttribute("aria-selected", String(isSelected));
  node.classList.toggle("cursor", isCursor);
  node.classList.toggle("rejected", image?.opinion.flag === "reject");
  node.setAttribute("aria-label", image ? describe(image, index) : `Image ${index + 1}`);
  const { picture, marks } = node.parts;
  const source = image && !image.isGone ? thumbnailUrl(image.run_id, image.digest, 320) : "";
  if (!source) picture.removeAttribute("src");
  else if (picture.getAttribute("src") !== source) picture.src = source;
  showMarks(marks, image);
}

function showMarks(element, image) {
  if (!image) {
    element.replaceChildren();
    return;
  }
  const { rating, notes } = image.opinion;
  const tagCount = shownTags(image).length;
  fill(
    element,
    typeof rating === "number" ? h("span", { class: "rating" }, rating ? "★".repeat(rating) : "0") : null,
    buildDots(image),
    flagText(image) || null,
    tagCount ? `#${tagCount}` : null,
    notes?.length ? "✎" : null,
  );
}
