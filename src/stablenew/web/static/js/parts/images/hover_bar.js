// What can be done to the image under the mouse: stars, pick, reject, trash, and a corner to select it.
//
// There is one bar, which goes to the image: buttons inside of the images would hide them from screen readers.

import { h } from "../dom.js";
import { buildStars } from "../stars.js";
import { icon } from "./icons.js";

const SMALL_WIDTH = 150;

export class HoverBar {
  /**
   * @param {{isReadOnly: boolean, onRate: (index: number, rating: number | null) => void,
   *   onFlag: (index: number, flag: "pick" | "reject") => void, onTrash: (index: number) => void}} options
   */
  constructor({ isReadOnly, onRate, onFlag, onTrash }) {
    this.index = -1;
    this.isReadOnly = isReadOnly;
    this.stars = buildStars("Rating", (rating) => onRate(this.index, rating), { isReadOnly });
    const tool = (name, label, action) =>
      h(
        "button",
        { class: `tool ${name}`, tabindex: -1, "aria-label": label, title: label, click: action },
        icon(name),
      );
    this.pick = tool("pick", "Pick (P)", () => onFlag(this.index, "pick"));
    this.reject = tool("reject", "Reject (X)", () => onFlag(this.index, "reject"));
    this.trash = tool("trash", "Trash (Backspace)", () => onTrash(this.index));
    this.element = h(
      "div.hover-bar",
      { hidden: true },
      this.stars,
      h("span.hover-tools", this.pick, this.reject, this.trash),
    );
    for (const name of ["click", "dblclick", "pointerdown"])
      this.element.addEventListener(name, (event) => event.stopPropagation());
  }

  /** Stand on an image; `place` is where it is. */
  show(index, row, { left, top, width, height }) {
    if (this.isReadOnly || !row || row.isGone) return this.hide();
    this.index = index;
    this.stars.show(row.opinion.rating ?? null, `Rating of image ${index + 1}`);
    this.pick.setAttribute("aria-pressed", String(row.opinion.flag === "pick"));
    this.reject.setAttribute("aria-pressed", String(row.opinion.flag === "reject"));
    this.trash.setAttribute("aria-pressed", String(Boolean(row.opinion.trashed)));
    this.element.classList.toggle("small", width < SMALL_WIDTH);
    this.element.style.width = `${width}px`;
    this.element.style.transform = `translate(${left}px,${top + height - 34}px)`;
    this.element.hidden = false;
  }

  hide() {
    this.index = -1;
    this.element.hidden = true;
  }
}
