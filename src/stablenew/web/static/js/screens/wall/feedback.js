// Feedback on the images of the wall: submitted for those it is about, shown at once, delivered by the outbox.

import { getJson } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { applyFeedback } from "../../data/opinions.js";
import { askText, toast } from "../../parts/dialogs.js";
import { COLOUR_PREFIXES, colourTags, shownTags } from "../../parts/image_words.js";
import { plural } from "../../data/format.js";

const MAX_TAG_CHOICES = 50;

/** @typedef {import("../../data/opinions.js").FeedbackInput} FeedbackInput */

export class WallFeedback {
  /**
   * @param {import("../../data/image_selection.js").ImageSelection} selection
   * @param {{isReadOnly: boolean, onChange: (index: number) => void,
   *   bringBack: (runId: string, digest: string) => number}} options `bringBack` shows an image again that was hidden
   */
  constructor(selection, { isReadOnly, onChange, bringBack }) {
    this.bringBack = bringBack;
    /** @type {import("../../data/images/image_list.js").ImageList} */
    this.list = /** @type {any} */ (null);
    this.selection = selection;
    this.isReadOnly = isReadOnly;
    this.onChange = onChange;
  }

  /** The images that a key is about, each with its index; without those that are not loaded, or gone. */
  get targets() {
    const images = this.selection.indexes.map((index) => ({ index, image: this.list.row(index) }));
    return images.filter(({ image }) => image && !image.isGone);
  }

  /**
   * Submit feedback on the images a key is about; `build` gives it for one image. Gives those images.
   * @param {(image: any) => Partial<FeedbackInput>} build
   */
  async submit(build) {
    if (this.isReadOnly) return [];
    const { indexes, isBatch } = this.selection;
    if (isBatch) await this.list.ensureLoaded(indexes[0], indexes[indexes.length - 1] + 1);
    const targets = this.targets.map((target) => ({ ...target, input: build(target.image) }));
    if (!targets.length) return [];
    outbox.submit(
      targets.map(({ image, input }) => ({ run_id: image.run_id, image_id: image.digest, ...input })),
      targets.map(({ image }) => image.opinion),
    );
    for (const { index, image, input } of targets) this.setOpinion(index, applyFeedback(image.opinion, input));
    return targets;
  }

  setOpinion(index, opinion) {
    this.list.setOpinion(index, opinion);
    this.onChange(index);
  }

  /** Mark images with one colour in place of any other, or take the mark away. */
  toggleColour(colour) {
    const isIt = (tag) => tag.endsWith(`:${colour}`);
    return this.submit((image) => {
      const before = colourTags(image);
      if (before.some(isIt)) return { remove_tags: before };
      return { tags: [`${COLOUR_PREFIXES[0]}${colour}`], remove_tags: before };
    });
  }

  async editTags() {
    const images = this.targets.map(({ image }) => image);
    if (!images.length || this.isReadOnly) return;
    const before = images.length === 1 ? shownTags(images[0]) : [];
    const facets = getJson("/api/images/facets", { limit: MAX_TAG_CHOICES });
    const text = await askText({
      title: images.length === 1 ? "Tags" : `Tags for ${plural(images.length, "image")}`,
      label: "Tags, separated by commas",
      value: before.join(", "),
      hint: images.length === 1 ? "" : "-tag takes one away",
      choices: facets.then(({ tag }) => tag.map(({ value }) => String(value))),
    });
    if (text === null) return;
    const tags = splitTags(text);
    const isLess = (tag) => images.length > 1 && tag.startsWith("-");
    const added = tags.filter((tag) => !before.includes(tag) && !isLess(tag));
    const less = tags.filter(isLess).map((tag) => tag.slice(1));
    const removed = [...before.filter((tag) => !tags.includes(tag)), ...less];
    if (added.length || removed.length) await this.submit(() => ({ tags: added, remove_tags: removed }));
  }

  async editNote() {
    const [target] = this.targets;
    if (!target || this.isReadOnly) return;
    const text = await askText({
      title: "Note",
      label: "Note about this image",
      isLong: true,
      value: target.image.opinion.notes?.[0]?.text ?? "",
      hint: "Ctrl+Enter saves",
    });
    if (text !== null) await this.submit(() => ({ notes: text.trim() }));
  }

  /** Undo the last act. Gives the index of an image it was about, to go to; -1 for none. */
  undo() {
    const entry = this.isReadOnly ? null : outbox.undo();
    if (!entry) return this.reportNothing("Nothing to undo");
    const shown = this.show(entry, (_, place) => entry.before[place] ?? {});
    if (shown < 0) toast("Undone, for an image that is not shown here");
    return entry.says.length === 1 ? shown : -1;
  }

  /** Submit again what was undone last. Gives the index of an image it is about, to go to; -1 for none. */
  redo() {
    const entry = this.isReadOnly ? null : outbox.redo();
    if (!entry) return this.reportNothing("Nothing to redo");
    const shown = this.show(entry, (image, place) => applyFeedback(image.opinion, entry.says[place]));
    if (shown < 0) toast("Redone, for an image that is not shown here");
    return entry.says.length === 1 ? shown : -1;
  }

  reportNothing(message) {
    if (!this.isReadOnly) toast(message);
    return -1;
  }

  /** Give the images of an undone or redone act their opinions. Gives the index of the last one; -1 for none. */
  show({ says }, opinionOf) {
    let shown = -1;
    for (const [place, input] of says.entries()) {
      const known = this.list.find(input.run_id, input.image_id);
      const index = known >= 0 ? known : this.bringBack(input.run_id, input.image_id ?? "");
      if (index < 0) continue;
      this.setOpinion(index, opinionOf(this.list.row(index), place));
      shown = index;
    }
    return shown;
  }
}

/** The tags in a text with commas between them, each once. */
function splitTags(text) {
  const tags = text.split(",").map((tag) => tag.trim());
  return [...new Set(tags.filter(Boolean))];
}
