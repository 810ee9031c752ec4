// The rows of the jobs: the jobs in view, the one that keys are about, and their ratings.

import { getJson, runUrl } from "../data/api.js";
import { outbox } from "../data/feedback_outbox.js";
import { JobList } from "../data/job_list.js";
import { h } from "../parts/dom.js";
import { createRow, showJob } from "../parts/job_row.js";
import { VirtualList } from "../parts/lists/virtual_list.js";

const RETRY_MILLISECONDS = 1000;
const ROW_HEIGHT = 84;
const NARROW_ROW_HEIGHT = 132;

export class JobRows {
  /** @param {{isReadOnly: boolean, onOpen: (url: string) => void}} options */
  constructor({ isReadOnly, onOpen }) {
    this.isReadOnly = isReadOnly;
    this.onOpen = onOpen;
    /** The index of the job that keys are about. */
    this.active = 0;
    /** Whether the person has moved or rated: from then on the active job stays the same one. */
    this.hasInteracted = false;
    this.jobs = new JobList({
      onRows: () => this.list.refreshAll(),
      onError: (error) => this.retry(error),
    });
    this.layer = h("div.rows", { role: "list", "aria-label": "Jobs" });
    this.element = h("div.viewport", { tabindex: -1 }, this.layer);
    this.list = new VirtualList(this.element, this.layer, {
      itemHeight: () => (window.matchMedia("(max-width: 700px)").matches ? NARROW_ROW_HEIGHT : ROW_HEIGHT),
      create: () => this.createRow(),
      show: (node, index) => this.showRow(node, index),
      move: (node, index) => this.showPlace(node, index),
      onRange: (first, last) => this.jobs.load(first, last),
    });
  }

  close() {
    this.list.close();
  }

  retry(error) {
    if (error.name !== "AbortError") setTimeout(() => this.jobs.load(...this.jobs.range), RETRY_MILLISECONDS);
  }

  get isAtTop() {
    return this.list.top < this.list.itemHeight / 2;
  }

  /** Show the first row, as it now is. */
  goToTop() {
    this.list.moveTo(0);
    this.list.render(true);
  }

  /** Show these jobs. Where they are those shown now with new ones before them, the rows only move down. */
  setNumbers(numbers, { prepended = 0 } = {}) {
    if (prepended && this.hasInteracted) this.active += prepended; // a key must not suddenly mean another job
    this.jobs.numbers = numbers;
    this.active = Math.min(this.active, Math.max(0, numbers.length - 1));
    if (prepended) this.list.prepend(prepended);
    else this.list.setCount(numbers.length);
  }

  createRow() {
    const node = createRow((rating) => this.clickStars(node, rating), this.isReadOnly);
    node.addEventListener("click", (event) => {
      if (!event.target.closest("button, a")) this.activate(node.index, { focus: true });
    });
    node.addEventListener("focusin", () => this.activate(node.index));
    node.addEventListener("dblclick", () => this.openRun(node.index));
    return node;
  }

  showRow(node, index) {
    this.showPlace(node, index);
    showJob(node, this.jobs.row(index));
  }

  showPlace(node, index) {
    node.index = index;
    node.setAttribute("aria-setsize", String(this.jobs.length));
    node.setAttribute("aria-posinset", String(index + 1));
    node.classList.toggle("active", index === this.active);
    node.parts.link.tabIndex = index === this.active ? 0 : -1;
  }

  /** A click on the star that is shown takes one's own rating away; where somebody else gave it, it is agreement. */
  async clickStars(node, rating) {
    const { index, parts } = node;
    const job = this.jobs.job(index);
    if (!job) return;
    const shown = parts.stars.rating;
    if (rating !== null) {
      this.rate(index, rating);
      return;
    }
    const { state, rater } = await getJson(`/api/runs/${job.run_id}/feedback`);
    const mine = outbox.overlay(job.run_id, null, state.run[rater] ?? {}).rating;
    this.rate(index, mine === shown ? null : shown);
  }

  rate(index, rating) {
    const job = this.jobs.job(index);
    if (!job || this.isReadOnly) return;
    this.hasInteracted = true;
    outbox.submit([{ run_id: job.run_id, image_id: null, rating }], [{ rating: job.rating }]);
    this.setRating(job.run_id, rating);
  }

  setRating(runId, rating) {
    this.jobs.setRating(runId, rating);
    this.list.refreshAll();
  }

  undo() {
    const entry = outbox.undo();
    entry?.says.forEach((input, place) => this.showFeedback(input, entry.before[place]?.rating ?? null));
  }

  redo() {
    const entry = outbox.redo();
    entry?.says.forEach((input) => this.showFeedback(input, input.rating));
  }

  /** Show the rating that undo or redo gave a run; ratings of images are not shown here. */
  showFeedback(input, rating) {
    if (input.image_id === null && "rating" in input) this.setRating(input.run_id, rating);
  }

  activate(index, { focus = false } = {}) {
    if (index < 0 || index >= this.jobs.length) return;
    const before = this.active;
    this.hasInteracted = true;
    this.active = index;
    if (focus) this.list.reveal(index);
    this.list.refresh(before);
    this.list.refresh(index);
    if (focus) this.list.node(index)?.parts.link.focus({ preventScroll: true });
  }

  /** Leave for the page of a job's run. */
  openRun(index) {
    const job = this.jobs.job(index);
    if (job) this.onOpen(runUrl(job.run_id));
  }

  /** What a key moves or rates; false when it does neither. */
  onKey({ key, target }) {
    const steps = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: this.list.pageSize,
      PageUp: -this.list.pageSize,
      Home: -Infinity,
      End: Infinity,
    };
    if (key in steps) {
      const index = Math.max(0, Math.min(this.jobs.length - 1, this.active + steps[key]));
      this.activate(index, { focus: true });
    } else if (/^[0-5]$/.test(key)) this.rate(this.active, Number(key));
    else if (key === "Delete") this.rate(this.active, null);
    else if (key === "z") this.undo();
    else if (key === "Z") this.redo();
    else if (key === "Enter" && !target.closest?.("a, button, summary, select")) this.openRun(this.active);
    else return false;
    return true;
  }
}
