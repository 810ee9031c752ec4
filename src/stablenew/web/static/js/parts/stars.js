// Five stars that can be clicked. Unrated is not zero: a click on the star that is the rating takes it away.

import { h } from "./dom.js";

/**
 * @param {string} about what is rated, for screen readers
 * @param {(rating: number | null) => void} onRate
 */
export function buildStars(about, onRate, { isReadOnly = false, inTabOrder = false } = {}) {
  const buttons = [1, 2, 3, 4, 5].map((rating) =>
    h(
      "button.star",
      {
        tabindex: inTabOrder ? 0 : -1,
        "aria-label": `${rating} ${rating === 1 ? "star" : "stars"}`,
        disabled: isReadOnly,
        click: (event) => {
          event.stopPropagation();
          onRate(rating === element.rating ? null : rating);
        },
      },
      "★",
    ),
  );
  const element = h("span.stars", { role: "group" }, buttons);
  element.rating = undefined;
  element.show = (rating, name = about) => {
    element.rating = rating ?? null;
    element.setAttribute("aria-label", `${name}: ${(rating ?? null) === null ? "not rated" : rating + " of 5"}`);
    element.classList.toggle("zero", rating === 0);
    buttons.forEach((button, index) => {
      const isOn = typeof rating === "number" && index < rating;
      button.classList.toggle("on", isOn);
      button.setAttribute("aria-pressed", String(index + 1 === rating));
    });
  };
  element.show(null);
  return element;
}

/** The same as text: `★★★★☆`. */
export const starText = (rating) =>
  rating === null || rating === undefined ? "" : "★".repeat(rating) + "☆".repeat(5 - rating);
