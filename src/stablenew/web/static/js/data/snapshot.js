// The images of all jobs that fit a search, as they were at one moment: nothing that arrives later moves them.

import { getBytes, getJson } from "./api.js";
import { outbox } from "./feedback_outbox.js";

const MAX_RUNS_PER_REQUEST = 60;
const MAX_CACHED_RUNS = 1500;

export class Snapshot {
  constructor(query) {
    this.query = query;
    /** The numbers of the jobs in the index. */
    this.numbers = new BigInt64Array(0);
    /** How many images each job has. */
    this.counts = new Uint32Array(0);
    /** How many images of each job are rated. */
    this.rated = new Uint32Array(0);
    /** The index of each job's first image; and at the end how many images there are. */
    this.starts = new Uint32Array(1);
    this.initialRatedCount = 0;
    /** The images of the jobs that are known. @type {Map<number, any[]>} */
    this.images = new Map();
    /** The requests under way, by each job they ask for. @type {Map<number, Promise<void>>} */
    this.requests = new Map();
  }

  async load(signal) {
    this.read(await getBytes("/api/jobs/snapshot", { query: this.query }, signal));
  }

  /** Take over what the server sends: all numbers (64 bits each), then all counts, then how many are rated (32 bits). */
  read(/** @type {ArrayBuffer} */ buffer) {
    const count = buffer.byteLength / 16;
    this.numbers = new BigInt64Array(buffer, 0, count);
    this.counts = new Uint32Array(buffer, 8 * count, count);
    this.rated = new Uint32Array(buffer, 12 * count, count).slice();
    this.starts = new Uint32Array(count + 1);
    for (let job = 0; job < count; job += 1) this.starts[job + 1] = this.starts[job] + this.counts[job];
    this.initialRatedCount = this.rated.reduce((sum, rated) => sum + rated, 0);
  }

  /** How many images there are. */
  get length() {
    return this.starts[this.starts.length - 1];
  }

  /** The position of the job that has image `index`. */
  jobOf(index) {
    let low = 0;
    let high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle + 1] <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Image `index`, if its job is known; else undefined. */
  image(index) {
    const job = this.jobOf(index);
    return this.images.get(job)?.[index - this.starts[job]];
  }

  /** The index of an image among those that are known; -1 when it is not. */
  find(runId, digest) {
    for (const [job, images] of this.images) {
      const position = images.findIndex((image) => image.run_id === runId && image.digest === digest);
      if (position >= 0) return this.starts[job] + position;
    }
    return -1;
  }

  /** Load the images from `first` up to `last` (not included). Gives whether any of them was not known yet. */
  async ensureLoaded(first, last) {
    if (first >= last) return false;
    const underWay = new Set();
    const missing = [];
    for (let job = this.jobOf(first); job < this.numbers.length && this.starts[job] < last; job += 1) {
      if (this.requests.has(job)) underWay.add(this.requests.get(job));
      else if (!this.images.has(job) && this.counts[job]) missing.push(job);
    }
    for (let at = 0; at < missing.length; at += MAX_RUNS_PER_REQUEST)
      underWay.add(this.request(missing.slice(at, at + MAX_RUNS_PER_REQUEST)));
    await Promise.all(underWay);
    return underWay.size > 0;
  }

  /** @param {number[]} jobs */
  request(jobs) {
    const request = getJson("/api/jobs/images", { numbers: jobs.map((job) => String(this.numbers[job])).join(",") })
      .then(({ runs }) => jobs.forEach((job, position) => this.cache(job, runs[position])))
      .finally(() => jobs.forEach((job) => this.requests.delete(job)));
    jobs.forEach((job) => this.requests.set(job, request));
    return request;
  }

  /** Hold the images of a job; those of a run that is gone stay in their places, so that no other image moves. */
  cache(job, run) {
    if (this.images.size > MAX_CACHED_RUNS)
      for (const oldest of [...this.images.keys()].slice(0, MAX_CACHED_RUNS / 2)) this.images.delete(oldest);
    const images = Array.from({ length: this.counts[job] }, (_, position) => {
      const image = run?.images[position];
      if (!image) return { isGone: true, opinion: {} };
      return { ...image, run_id: run.run_id, opinion: outbox.overlay(run.run_id, image.digest, image.mine) };
    });
    this.images.set(job, images);
    const rated = images.filter(isRated).length; // the index, which counted before, may be a moment behind
    this.initialRatedCount += rated - this.rated[job];
    this.rated[job] = rated;
  }

  /** Give an image another opinion. Gives by how many there are more rated images: 1, 0 or -1. */
  setOpinion(index, opinion) {
    const image = this.image(index);
    const wasRated = isRated(image);
    image.opinion = opinion;
    const change = Number(isRated(image)) - Number(wasRated);
    this.rated[this.jobOf(index)] += change;
    return change;
  }

  /** The next image from `start` on that is not rated; -1 when there is none. `step` is 1 or -1. */
  async nextUnrated(start, step = 1) {
    let index = start;
    while (index >= 0 && index < this.length) {
      const job = this.jobOf(index);
      if (!this.images.has(job) && this.rated[job] >= this.counts[job]) {
        index = step > 0 ? this.starts[job + 1] : this.starts[job] - 1;
        continue;
      }
      if (!this.images.has(job)) await this.ensureLoaded(this.starts[job], this.starts[job + 1]);
      const image = this.image(index);
      if (image && !image.isGone && !isRated(image)) return index;
      index += step;
    }
    return -1;
  }
}

/** Whether anybody has rated an image. */
export const isRated = (image) =>
  [image.opinion, ...Object.values(image.others ?? {})].some((opinion) => typeof opinion.rating === "number");
