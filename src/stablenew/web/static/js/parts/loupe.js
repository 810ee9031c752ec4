// One image, large; the next ones are fetched and decoded before anybody asks for them.

import { getJson, outputUrl, runUrl, thumbnailUrl } from "../data/api.js";
import { fill, h, setText } from "./dom.js";
import { formatTime } from "../data/format.js";
import { buildDots, describe, describeOthers, flagText, shownTags } from "./image_words.js";
import { buildStars } from "./stars.js";

const PRELOADED = 3;
const MAX_PREPARED = 16;
const MAX_CACHED_JOBS = 500;

export class Loupe {
  /** @param {import("../data/snapshot.js").Snapshot} snapshot */
  constructor(snapshot, { isReadOnly, onRate }) {
    this.snapshot = snapshot;
    this.index = -1;
    this.isFull = false;
    this.isPinned = false;
    this.prepared = new Map();
    this.jobs = new Map();
    this.abort = new AbortController();

    this.image = h("img", { class: "current", alt: "", draggable: "false" });
    this.figure = h("figure", {}, this.image);
    this.pinnedImage = h("img", { alt: "" });
    this.pinnedFigure = h("figure", { class: "pinned", hidden: true }, this.pinnedImage);
    this.info = {
      link: h("a", { "data-link": true, class: "time" }),
      prompt: h("span", { class: "prompt" }),
      settings: h("span", { class: "soft" }),
      marks: h("span", { class: "loupe-marks" }),
      tags: h("span", { class: "tags" }),
      note: h("span", { class: "soft" }),
      others: h("span", { class: "soft" }),
      original: h("a", { target: "_blank", rel: "noreferrer" }, "Original"),
    };
    this.stars = buildStars("Rating", onRate, {
      isReadOnly,
      inTabOrder: true,
    });
    this.element = h(
      "div",
      { class: "loupe", hidden: true, role: "group", "aria-label": "Large view" },
      h("div", { class: "loupe-images" }, this.pinnedFigure, this.figure),
      h(
        "div",
        { class: "loupe-info" },
        this.stars,
        this.info.marks,
        this.info.tags,
        this.info.note,
        this.info.others,
        this.info.prompt,
        this.info.settings,
        this.info.link,
        this.info.original,
      ),
    );
  }

  close() {
    this.abort.abort();
  }

  hide() {
    this.unpin();
    this.element.hidden = true;
  }

  /** Show an image, and get the next ones ready. */
  async show(index) {
    this.element.hidden = false;
    this.index = index;
    if (!this.snapshot.image(index)) await this.snapshot.ensureLoaded(index, index + 1);
    const image = this.snapshot.image(index);
    if (index !== this.index || !image) return;
    this.showInfo(image);
    if (image.isGone) {
      this.image.removeAttribute("src");
      this.image.alt = "this run is gone";
      return;
    }
    const ready = this.prepare(index);
    await ready.decoded;
    if (index !== this.index) return;
    if (this.image !== ready.element) {
      ready.element.className = "current";
      this.image.replaceWith(ready.element);
      this.image = ready.element;
    }
    this.image.dataset.index = String(index);
    this.preload(index);
  }

  /** An image element of its own for each image, decoded before it is shown. */
  prepare(index) {
    const image = this.snapshot.image(index);
    if (!image || image.isGone) return null;
    const source = this.isFull ? outputUrl(image.run_id, image.digest) : thumbnailUrl(image.run_id, image.digest, 1024);
    let ready = this.prepared.get(index);
    if (ready?.source !== source) {
      const element = h("img", { alt: describe(image, index), draggable: "false" });
      element.src = source;
      ready = { element, source, decoded: element.decode().catch(() => {}) };
      this.prepared.set(index, ready);
      this.dropFarthest();
    }
    return ready;
  }

  dropFarthest() {
    if (this.prepared.size <= MAX_PREPARED) return;
    for (const key of this.prepared.keys()) if (Math.abs(key - this.index) > PRELOADED) this.prepared.delete(key);
  }

  async preload(index) {
    await this.snapshot
      .ensureLoaded(Math.max(0, index - 1), Math.min(this.snapshot.length, index + 20))
      .catch(() => {});
    if (index !== this.index) return;
    for (let step = 1; step <= PRELOADED; step += 1) this.prepare(index + step);
    this.prepare(index - 1);
  }

  /** Everything but the image itself. */
  showInfo(image) {
    this.stars.show(image.opinion.rating ?? null, "Rating of this image");
    fill(this.info.marks, buildDots(image), flagText(image));
    const tags = shownTags(image).map((tag) => h("span", { class: "tag" }, tag));
    fill(this.info.tags, tags);
    setText(this.info.note, image.opinion.notes?.[0]?.text ?? "");
    setText(this.info.others, describeOthers(image));
    if (image.isGone) return;
    this.info.link.href = runUrl(image.run_id);
    this.info.original.href = outputUrl(image.run_id, image.digest);
    this.showJob(image);
  }

  /** What the image was made of; not needed to rate it, so it may come later. */
  async showJob(image) {
    if (!this.jobs.has(image.run_id)) {
      const numbers = String(this.snapshot.numbers[this.snapshot.jobOf(this.index)]);
      const asked = getJson("/api/jobs/rows", { numbers }, this.abort.signal);
      const { jobs } = await asked.catch(() => ({ jobs: [null] }));
      this.jobs.set(image.run_id, jobs[0]);
      if (this.jobs.size > MAX_CACHED_JOBS) this.jobs.delete(this.jobs.keys().next().value);
    }
    if (this.snapshot.image(this.index) !== image) return;
    const job = this.jobs.get(image.run_id);
    const variant = job?.record_count > 1 ? `variant ${image.variant + 1}/${job.plan_size ?? job.record_count}` : null;
    setText(this.info.link, job ? formatTime(job.created_at) : image.run_id);
    setText(this.info.prompt, job?.prompt ?? "");
    setText(this.info.settings, [job?.model, variant].filter(Boolean).join(", "));
  }

  /** Hold an image beside the one that is shown. */
  pin(image, index) {
    this.isPinned = true;
    this.pinnedImage.src = thumbnailUrl(image.run_id, image.digest, 1024);
    this.pinnedImage.alt = `Held: ${describe(image, index)}`;
    this.pinnedFigure.hidden = false;
  }

  unpin() {
    this.isPinned = false;
    this.pinnedFigure.hidden = true;
    this.pinnedImage.removeAttribute("src");
  }

  /** Pixel for pixel, or fitted into the window. */
  setFull(isFull) {
    this.isFull = isFull;
    this.figure.classList.toggle("full", isFull);
    if (!this.element.hidden) this.show(this.index);
  }
}
