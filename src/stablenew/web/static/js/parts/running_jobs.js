// The runs of this server: how far each is, what it has made, and a way to stop it.

import { getJson, postJson, runUrl } from "../data/api.js";
import { buttonLink, fill, h, link } from "./dom.js";
import { formatDuration, plural } from "../data/format.js";
import { live } from "../data/live.js";
import { outbox } from "../data/feedback_outbox.js";
import { buildStars } from "./stars.js";

const SHOWN_PREVIEWS = 12;
const OVER = { completed: "Done", failed: "Failed", cancelled: "Cancelled", partial: "Partly failed" };

export class RunningJobs {
  constructor({ isReadOnly }) {
    this.isReadOnly = isReadOnly;
    this.jobs = new Map();
    this.element = h("div");
    this.unsubscribe = [live.on("job", (job) => this.showJob(job)), live.on("hello", () => this.load())];
  }

  close() {
    this.unsubscribe.forEach((end) => end());
  }

  async load() {
    const { running } = await getJson("/api/running");
    running.forEach((job) => this.showJob(job));
    if (!this.jobs.size) fill(this.element, h("p.hint", "Nothing runs now."));
  }

  showJob(job) {
    let parts = this.jobs.get(job.run_id);
    if (!parts) {
      if (!this.jobs.size) this.element.replaceChildren();
      parts = this.buildJob(job);
      this.jobs.set(job.run_id, parts);
      this.place(job.run_id, parts.element);
    }
    if (parts.revision > job.revision) return;
    parts.revision = job.revision;
    const label = job.variant_label ? ` (${job.variant_label})` : "";
    const running = `${job.stage ?? "starting"}, variant ${Math.min(job.total, job.done + 1)} of ${job.total}${label}`;
    const eta = job.eta_seconds === null ? "" : `, about ${formatDuration(job.eta_seconds)} left`;
    const ended = `${OVER[job.status] ?? job.status}: ${job.done} of ${plural(job.total, "variant")} in ${formatDuration(job.elapsed_seconds)}`;
    parts.words.textContent = job.is_over
      ? ended
      : job.status === "waiting"
        ? "waits for the run before it"
        : job.is_cancelling
          ? "stopping…"
          : running + eta;
    parts.error.textContent = job.error ?? "";
    parts.bar.value = job.progress;
    parts.bar.hidden = job.is_over;
    parts.cancel.hidden = job.is_over || this.isReadOnly;
    parts.link.hidden = !job.is_recorded;
    parts.review.hidden = !job.is_over || !job.is_recorded;
    this.showPreviews(job, parts);
  }

  /** The newest first, in whatever order their events arrive; run ids sort by time. */
  place(runId, element) {
    element.dataset.run = runId;
    const others = /** @type {HTMLElement[]} */ ([...this.element.children]);
    this.element.insertBefore(element, others.find((other) => other.dataset.run < runId) ?? null);
  }

  buildJob(job) {
    const parts = {
      link: link(runUrl(job.run_id), job.run_id),
      words: h("span", { role: "status" }),
      error: h("p.bad"),
      bar: h("progress", { max: 1, "aria-label": `Progress of ${job.run_id}` }),
      previews: h("div.previews"),
      cancel: h(
        "button",
        { click: () => postJson(`/api/running/${job.run_id}/cancel`).then((state) => this.showJob(state)) },
        "Cancel",
      ),
      review: buttonLink(`/?q=run:${job.run_id}`, "Show its images"),
      figures: new Map(),
      revision: -1,
    };
    parts.element = h(
      "article.job",
      { "aria-label": job.label },
      h("div.actions", h("strong", job.label), parts.link, parts.cancel, parts.review),
      parts.bar,
      h("p", parts.words),
      parts.error,
      parts.previews,
    );
    return parts;
  }

  /** The images as they come; each can be rated as soon as it is recorded. */
  showPreviews(job, parts) {
    const held = new Set(job.previews.map(({ number }) => number));
    for (const [number, figure] of parts.figures) {
      if (!held.has(number) && !figure.digest) this.dropPreview(parts, number, figure);
    }
    for (const preview of job.previews) {
      let figure = parts.figures.get(preview.number);
      if (!figure) {
        figure = this.buildPreview(job, preview);
        parts.figures.set(preview.number, figure);
        parts.previews.prepend(figure);
      }
      if (preview.is_recorded && !figure.stars) this.addStars(job, preview, figure);
    }
    const oldest = [...parts.figures].sort(([a], [b]) => a - b).slice(0, -SHOWN_PREVIEWS);
    for (const [number, figure] of oldest) this.dropPreview(parts, number, figure);
  }

  dropPreview(parts, number, figure) {
    figure.remove();
    parts.figures.delete(number);
  }

  buildPreview(job, { number, digest }) {
    const image = h("img", { alt: `Image ${number + 1} of ${job.label}`, src: `/previews/${job.run_id}/${number}` });
    image.addEventListener("error", () => image.remove());
    const figure = h("figure", { class: digest ? "" : "unfinished" }, image);
    figure.digest = digest;
    return figure;
  }

  addStars(job, { number, digest }, figure) {
    const rate = (rating) => {
      outbox.submit([{ run_id: job.run_id, image_id: digest, rating }], [{ rating: figure.stars.rating ?? undefined }]);
      figure.stars.show(rating);
    };
    figure.stars = buildStars(`Rating of image ${number + 1}`, rate, { isReadOnly: this.isReadOnly, inTabOrder: true });
    figure.append(figure.stars);
  }
}
