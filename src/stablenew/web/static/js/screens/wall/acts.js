// What keys and buttons do to images of the wall: rate, flag, trash, undo; and whether a rating moves on.

import { plural } from "../../data/format.js";
import { getItem, setItem } from "../../data/local_storage.js";
import { toast } from "../../parts/dialogs.js";

const AUTO_ADVANCE_KEY = "stablenew:auto-advance";

export class WallActs {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.autoAdvance = getItem(AUTO_ADVANCE_KEY) !== "off";
  }

  async rate(rating) {
    const { screen } = this;
    const { isBatch } = screen.selection;
    const done = await screen.feedback.submit(() => ({ rating }));
    if (!done.length) return;
    if (rating !== null) screen.status.addRated(done.length);
    if (isBatch) toast(`${plural(done.length, "image")} rated ${rating === null ? "not at all" : rating + "★"}`);
    else if (this.autoAdvance && rating !== null) screen.moveTo(screen.cursor + 1);
  }

  /** Pick or reject; the same once more takes it back. */
  async flag(flag) {
    const { feedback, hiding } = this.screen;
    const isSet = feedback.targets.every(({ image }) => image.opinion.flag === flag);
    hiding.hide(await feedback.submit(() => ({ flag: isSet ? null : flag })));
  }

  /** Move to the trash; out of it what is there already. */
  async trash() {
    const { feedback, hiding } = this.screen;
    const isThere = feedback.targets.every(({ image }) => image.opinion.trashed);
    const done = await feedback.submit(() => ({ trashed: !isThere }));
    if (done.length && !isThere)
      toast(`${plural(done.length, "image")} in the trash`, { action: "Undo", onAction: () => this.undo() });
    hiding.hide(done);
  }

  undo() {
    this.goTo(this.screen.feedback.undo());
  }

  redo() {
    this.goTo(this.screen.feedback.redo());
  }

  goTo(index) {
    if (index >= 0) this.screen.moveTo(index);
  }

  goUnrated(step) {
    const { list, cursor } = this.screen;
    const index = list.nextUnrated(cursor + step, step);
    if (index < 0) toast("No unrated image after this one");
    this.goTo(index);
  }

  setAutoAdvance(isOn) {
    this.autoAdvance = isOn;
    this.screen.status.advance.checked = isOn;
    setItem(AUTO_ADVANCE_KEY, isOn ? "on" : "off");
    toast(isOn ? "Rating moves on to the next image" : "Rating stays on the image");
  }
}
