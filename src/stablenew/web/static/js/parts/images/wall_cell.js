// One image on the wall: its element, made once and filled again and again.

import { outputUrl, thumbnailUrl } from "../../data/api.js";
import { fileName } from "../../data/images/image_facts.js";
import { shownRating } from "../../data/images/image_list.js";
import { fill, h, setText } from "../dom.js";
import { buildDots, shownTags } from "../image_words.js";
import { icon } from "./icons.js";

const SIZES = [320, 512, 1024];
/** A thumbnail is stretched by at most this much before the next size is taken. */
const MAX_STRETCH = 1.25;

export function createCell() {
  const picture = h("img", { alt: "", decoding: "async", draggable: "false" });
  const marks = h("span.marks");
  const flags = h("span.flags");
  const stack = h("span.stack", { title: "Variants by seed: open or close (S)" });
  const node = h("div.cell", { role: "option" }, picture, marks, flags, stack, h("span.tick", icon("tick")));
  node.parts = { picture, marks, flags, stack };
  return node;
}

/** The address of a thumbnail that is sharp at a width and height in pixels of the page. */
export function sharpThumbnail(row, width, height) {
  const needed = Math.max(width, height) * (window.devicePixelRatio || 1);
  return thumbnailUrl(row.run_id, row.digest, SIZES.find((size) => needed <= MAX_STRETCH * size) ?? 1024);
}

/** Fill a cell with image `index` of `count`; `row` is undefined while it is not known. */
export function showCell(node, row, { index, count, isSelected, isCursor, isMovable = false, stack = 0 }) {
  node.index = index;
  node.id = `cell-${index}`;
  node.setAttribute("aria-setsize", String(count));
  node.setAttribute("aria-posinset", String(index + 1));
  node.setAttribute("aria-selected", String(isSelected));
  node.classList.toggle("cursor", isCursor);
  node.classList.toggle("rejected", row?.opinion.flag === "reject");
  node.classList.toggle("trashed", Boolean(row?.opinion.trashed));
  const words = row ? describeImage(row, index) : `Image ${index + 1}`;
  node.setAttribute("aria-label", stack > 1 ? `${words}, stack of ${stack}` : words);
  node.style.setProperty("--average", row?.colour ?? "var(--image)");
  node.parts.stack.hidden = stack < 2;
  setText(node.parts.stack, String(stack));
  node.draggable = Boolean(row && !row.isGone && (isSelected || isMovable));
  showMarks(node.parts, row);
}

function showMarks({ marks, flags }, row) {
  if (!row || row.isGone) {
    fill(marks, row?.isGone ? "removed" : null);
    flags.replaceChildren();
    return;
  }
  const shown = shownRating(row);
  fill(
    marks,
    shown ? h("span", { class: shown.isMine ? "rating" : "rating others" }, "★".repeat(shown.rating) || "0") : null,
    buildDots(row),
    shownTags(row).length ? `#${shownTags(row).length}` : null,
    row.opinion.notes?.length ? "✎" : null,
  );
  const { flag, trashed } = row.opinion;
  fill(
    flags,
    flag === "pick" ? h("span.flag.pick", icon("pick")) : null,
    flag === "reject" ? h("span.flag.reject", icon("reject")) : null,
    trashed ? h("span.flag", icon("trash")) : null,
  );
}

/** An image in words, for who cannot see it. */
export function describeImage(row, index) {
  if (row.isGone) return `Image ${index + 1}, removed`;
  const shown = shownRating(row);
  const rated = shown
    ? `${shown.isMine ? "" : "others: "}${shown.rating} ${shown.rating === 1 ? "star" : "stars"}`
    : "not rated";
  const { flag, trashed } = row.opinion;
  const parts = [
    `Image ${index + 1}`,
    rated,
    { pick: "picked", reject: "rejected" }[flag],
    trashed ? "in the trash" : null,
  ];
  return [...parts, ...(row.opinion.tags ?? []), row.prompt?.slice(0, 120)].filter(Boolean).join(", ");
}

/** Let the file of an image be dragged out of the page: to a folder, or into another program. */
export function offerFile(/** @type {DragEvent} */ event, row) {
  const data = event.dataTransfer;
  if (!data) return;
  const address = new URL(outputUrl(row.run_id, row.digest), location.href).href;
  data.clearData();
  data.effectAllowed = "copy";
  data.setData("DownloadURL", `${row.media_type || "image/png"}:${fileName(row)}:${address}`);
  data.setData("text/uri-list", address);
  data.setData("text/plain", address);
}
