// The variants of a run: a strip of all, and the one that is looked at, with stars under each of its final images.

import { outputUrl } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { fill, h } from "../../parts/dom.js";
import { buildImages, buildStripItem, buildWords, describeOutput, finalOutputs } from "../../parts/record_view.js";
import { buildStars } from "../../parts/stars.js";

const MOST_VARIED = 4;

/** How many settings vary on purpose; 0 where so many do that the images have little in common. */
export function countVaried(records) {
  const values = {};
  for (const { requested } of records)
    for (const [name, value] of Object.entries(requested)) (values[name] ??= new Set()).add(JSON.stringify(value));
  const varied = Object.keys(values).filter((name) => name !== "seed" && values[name].size > 1);
  return varied.length > MOST_VARIED ? 0 : varied.length;
}

export class Variants {
  /** @param {{runId: string, isReadOnly: boolean, onRate: (imageId: string, rating: number | null) => void}} options */
  constructor({ runId, isReadOnly, onRate }) {
    this.runId = runId;
    this.isReadOnly = isReadOnly;
    this.onRate = onRate;
    /** @type {any[]} */
    this.records = [];
    /** Which record is shown. */
    this.position = 0;
    /** The outputs that can be rated, each with its stars. @type {any[][]} */
    this.stars = [];
    this.strip = h("div.strip");
    this.stripBox = h("div.strip-box", this.strip);
    this.box = h("section.panel", { "aria-label": "Variant" });
  }

  use(records) {
    this.records = records;
    fill(
      this.strip,
      records.length
        ? records.map((record, position) => buildStripItem(this.runId, record, () => this.show(position)))
        : h("p.hint", "No variant is recorded yet."),
    );
    this.show(this.position);
  }

  /** Show a variant; the first or last one beyond them. */
  show(position) {
    this.position = Math.max(0, Math.min(this.records.length - 1, position));
    this.strip.querySelectorAll("button").forEach((button, index) => {
      button.setAttribute("aria-pressed", String(index === this.position));
      if (index === this.position) button.scrollIntoView({ block: "nearest" });
    });
    const record = this.records[this.position];
    this.box.hidden = !record;
    this.stars = [];
    if (!record) return;
    const images = [buildImages(this.runId, record), finalOutputs(record).map((...each) => this.buildRating(...each))];
    fill(this.box, h("div.variant", h("div", images), buildWords(record)));
    this.showOpinions();
  }

  /** Show the variant that made an image. One that is shown already stays as it is, with its slider where it was. */
  showImage(row) {
    if (!this.isOf(row)) this.show(this.records.findIndex(({ variant }) => variant.index === indexOf(row)));
  }

  /** Whether the variant that is shown made an image. */
  isOf(row) {
    return this.records[this.position]?.variant.index === indexOf(row);
  }

  buildRating(output, number) {
    const rate = (rating) => this.onRate(output.digest, rating);
    const stars = buildStars(`Rating of image ${number + 1}`, rate, { isReadOnly: this.isReadOnly, inTabOrder: true });
    this.stars.push([output, stars]);
    return h(
      "div.actions",
      stars,
      h("a", { href: outputUrl(this.runId, output.digest), target: "_blank", rel: "noreferrer" }, "Original"),
      h("span.soft", describeOutput(output)),
    );
  }

  /** Show the stars that this person gave. @param {{state: any, rater: string}} [feedback] */
  showOpinions(feedback = this.feedback) {
    this.feedback = feedback;
    if (!feedback) return;
    for (const [output, stars] of this.stars) stars.show(opinionOn(feedback, this.runId, output.digest).rating ?? null);
  }

  rateCurrent(rating) {
    const [output] = this.stars[0] ?? [];
    if (output) this.onRate(output.digest, rating);
  }

  /** What an image is called where there are many. */
  nameOf(digest) {
    const record = this.records.find(({ outputs }) => outputs.some((output) => output.digest === digest));
    return record ? `variant ${record.variant.index}` : digest.slice(7, 19);
  }
}

/** The index of the variant that made an image, by the image's name, such as 3/0. */
const indexOf = ({ name }) => Number(name.split("/")[0]);

/** What this person thinks of an image; of the run where `imageId` is null. */
export function opinionOn({ state, rater }, runId, imageId) {
  const saved = (imageId === null ? state.run[rater] : state.images[imageId]?.[rater]) ?? {};
  return outbox.overlay(runId, imageId, saved);
}
