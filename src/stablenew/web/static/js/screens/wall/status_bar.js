// The line below the wall: how many images, how fast they are rated, how many are selected, and how large they are.

import { formatCount, plural } from "../../data/format.js";
import { RatingPace } from "../../data/rating_pace.js";
import { h, setText } from "../../parts/dom.js";
import { goWith } from "./keys.js";
import { changeAlbum, exportImages } from "./selection_acts.js";

const PACE_REFRESH_MILLISECONDS = 5000;
export const [SMALLEST, LARGEST] = [120, 420];

/** What can be done with the selection, for people who have no keys at hand. @param {any} screen */
function buildActs(screen) {
  const act = (name, action, kind = "") => h("button", { class: kind, click: () => screen.actions.add(action) }, name);
  const move = (name, key) => act(name, () => screen.order.actionOf({ key, altKey: true })?.(), "order");
  const { isReadOnly, acts, feedback } = screen;
  const { device } = screen.app.status;
  const changing = [
    move("← Earlier", "ArrowLeft"),
    move("Later →", "ArrowRight"),
    act("Move before…", () => screen.order.setPlacing(true), "order"),
    act("Pick", () => acts.flag("pick")),
    act("Reject", () => acts.flag("reject")),
    act("Tags", () => feedback.editTags()),
    act("Album", () => changeAlbum(screen)),
    device ? null : act("Trash", () => acts.trash()),
  ];
  return h(
    "span.chosen-acts",
    { role: "group", "aria-label": "The selection" },
    isReadOnly ? null : changing,
    act("Compare", () => goWith(screen, "/compare", 2)),
    act("Grid", () => goWith(screen, "/grid", 2)),
    isReadOnly ? null : act("Duel", () => goWith(screen, "/duel", 4)),
    device ? null : act("Save as zip", () => exportImages(screen)),
  );
}

export class WallStatus {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.ratingPace = new RatingPace();
    this.counts = h("span.counts", { role: "status" });
    this.pace = h("span.pace");
    this.chosen = h("button.chosen", { hidden: true, click: () => screen.clearSelection() });
    this.acts = buildActs(screen);
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
      this.acts,
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
    const { list, order, selection } = this.screen;
    const perMinute = this.ratingPace.perMinute(Date.now());
    setText(this.counts, `${plural(list.total, "image")} · ${formatCount(list.unratedCount)} unrated`);
    setText(this.pace, perMinute === null ? "" : `${perMinute} a minute`);
    this.chosen.hidden = !selection.size;
    this.element.classList.toggle("choosing", selection.size > 0);
    this.acts.classList.toggle("ordering", order.isOn);
    setText(this.chosen, `${formatCount(selection.size)} selected ×`);
  }
}
