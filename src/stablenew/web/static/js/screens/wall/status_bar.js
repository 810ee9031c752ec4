// The line below the wall: how many images, how fast they are rated, how many are selected, and how large they are.

import { formatCount, plural } from "../../data/format.js";
import { RatingPace } from "../../data/rating_pace.js";
import { h, setText } from "../../parts/dom.js";

const PACE_REFRESH_MILLISECONDS = 5000;
export const [SMALLEST, LARGEST] = [120, 420];

export class WallStatus {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.ratingPace = new RatingPace();
    this.counts = h("span.counts", { role: "status" });
    this.pace = h("span.pace");
    this.chosen = h("button.chosen", { hidden: true, click: () => screen.clearSelection() });
    this.advance = h("input", {
      type: "checkbox",
      id: "advance",
      checked: screen.acts.autoAdvance,
      change: () => screen.acts.setAutoAdvance(this.advance.checked),
    });
    this.slider = h("input", {
      type: "range",
      id: "size",
      min: SMALLEST,
      max: LARGEST,
      step: 4,
      value: screen.rowHeight,
      input: () => screen.setRowHeight(Number(this.slider.value)),
    });
    this.element = h(
      "div.status-bar",
      this.counts,
      this.pace,
      this.chosen,
      screen.isReadOnly ? null : h("label.switch", { for: "advance" }, this.advance, "Advance after rating"),
      h("label.size", { for: "size" }, "Size", this.slider),
    );
    this.timer = setInterval(() => this.show(), PACE_REFRESH_MILLISECONDS);
  }

  close() {
    clearInterval(this.timer);
  }

  /** So many images were rated just now. */
  addRated(count) {
    for (let done = 0; done < count; done += 1) this.ratingPace.add(Date.now());
    this.show();
  }

  show() {
    const { list, selection } = this.screen;
    const perMinute = this.ratingPace.perMinute(Date.now());
    setText(this.counts, `${plural(list.total, "image")} · ${formatCount(list.unratedCount)} unrated`);
    setText(this.pace, perMinute === null ? "" : `${perMinute} a minute`);
    this.chosen.hidden = !selection.size;
    setText(this.chosen, `${formatCount(selection.size)} selected ×`);
  }
}
