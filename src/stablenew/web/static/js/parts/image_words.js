// What people think of an image, in marks and words.

import { h } from "./dom.js";
import { starText } from "./stars.js";

export const shownTags = (image) => (image.opinion.tags ?? []).filter((tag) => !tag.startsWith("colour:"));
export const colourOf = (image) => (image.opinion.tags ?? []).find((tag) => tag.startsWith("colour:"))?.slice(7);
export const flagText = (image) => ({ pick: "✓ pick", reject: "✗ reject" })[image.opinion.flag] ?? "";

export function buildDots(image) {
  const colour = colourOf(image);
  return colour ? h("span", { class: "dot", "data-colour": colour, title: colour }) : null;
}

/** What others gave it: `bob ★★★☆☆`. */
export function describeOthers(image) {
  const rated = Object.entries(image.others ?? {}).filter(([, opinion]) => typeof opinion.rating === "number");
  return rated.map(([who, opinion]) => `${who} ${starText(opinion.rating)}`).join(", ");
}

/** An image in words, for who cannot see it. */
export function describe(image, index) {
  if (image.isGone) return `Image ${index + 1}, gone`;
  const { rating } = image.opinion;
  const parts = [
    `Image ${index + 1}`,
    typeof rating === "number" ? `rated ${rating} of 5` : "not rated",
    image.opinion.flag,
    colourOf(image),
    ...shownTags(image),
  ];
  return parts.filter(Boolean).join(", ");
}
