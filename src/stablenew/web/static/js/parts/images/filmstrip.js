// The images before and after the one in the loupe, small, to see where one is and to jump.

import { thumbnailUrl } from "../../data/api.js";
import { h } from "../dom.js";

const REACH = 14;
const HEIGHT = 60;
const RATIO_UNITS = 4096;

export class Filmstrip {
  /**
   * @param {import("../../data/images/image_list.js").ImageList} list
   * @param {(index: number) => void} onChoose
   */
  constructor(list, onChoose) {
    this.list = list;
    this.current = -1;
    this.track = h("div.film-track");
    this.element = h("div.film", { "aria-hidden": "true" }, this.track);
    this.middle = 0;
    this.observer = new ResizeObserver(() => this.center());
    this.observer.observe(this.element);
    this.frames = Array.from({ length: 2 * REACH + 1 }, () => this.createFrame());
    this.track.append(...this.frames);
    this.element.addEventListener("click", (event) => {
      const frame = event.target instanceof Element ? event.target.closest(".film-frame") : null;
      if (frame) onChoose(Number(frame.getAttribute("data-index")));
    });
  }

  createFrame() {
    return h("div.film-frame", h("img", { alt: "", draggable: "false", decoding: "async" }));
  }

  close() {
    this.observer.disconnect();
  }

  /** Show the neighbours of an image, with it in the middle. */
  show(current) {
    this.current = current;
    if (this.element.hidden) return;
    let left = 0;
    let middle = 0;
    for (let place = 0; place < this.frames.length; place += 1) {
      const index = current - REACH + place;
      const frame = this.frames[((index % this.frames.length) + this.frames.length) % this.frames.length];
      frame.hidden = index < 0 || index >= this.list.length;
      if (frame.hidden) continue;
      const width = Math.round(HEIGHT * Math.min(2.5, Math.max(0.4, this.list.ratios[index] / RATIO_UNITS)));
      frame.style.width = `${width}px`;
      frame.style.transform = `translateX(${left}px)`;
      frame.dataset.index = String(index);
      frame.classList.toggle("current", index === current);
      this.showPicture(frame.firstElementChild, index);
      if (index === current) middle = left + width / 2;
      left += width + 4;
    }
    this.middle = middle;
    this.center();
  }

  center() {
    this.track.style.transform = `translateX(${Math.round(this.element.clientWidth / 2 - this.middle)}px)`;
  }

  showPicture(picture, index) {
    const row = this.list.row(index);
    const source = row && !row.isGone ? thumbnailUrl(row.run_id, row.digest, 320) : "";
    if (!source) picture.removeAttribute("src");
    else if (picture.getAttribute("src") !== source) picture.src = source;
  }
}
