// The images of all jobs that fit a search, as they were at one moment: nothing that arrives later moves them.

import { getBytes, getJson } from "./api.js";
import { outbox } from "./feedback_outbox.js";

const MOST_ASKED = 60;
const MOST_HELD = 1500;

export class Snapshot {
  constructor(query) {
    this.query = query;
    this.numbers = new BigInt64Array(0);
    this.starts = new Uint32Array(1);
    this.ratedAtFirst = 0;
    /** @type {Map<number, any>} */
    this.runs = new Map();
    this.asking = new Map();
  }

  async load(signal) {
    const buffer = await getBytes("/api/images/snapshot", { query: this.query }, signal);
    const count = buffer.byteLength / 16;
    this.numbers = new BigInt64Array(buffer, 0, count);
    this.counts = new Uint32Array(buffer, 8 * count, count);
    this.rated = new Uint32Array(buffer, 12 * count, count).slice();
    this.starts = new Uint32Array(count + 1);
    for (let index = 0; index < count; index += 1) this.starts[index + 1] = this.starts[index] + this.counts[index];
    this.ratedAtFirst = this.rated.reduce((sum, one) => sum + one, 0);
  }

  /** How many images there are. */
  get length() {
    return this.starts[this.starts.length - 1];
  }

  /** The place of the run that has image `index`. */
  placeOf(index) {
    let low = 0;
    let high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle + 1] <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Image `index`, if its run is known; else undefined. */
  image(index) {
    const place = this.placeOf(index);
    return this.runs.get(place)?.images[index - this.starts[place]];
  }

  /** Have the images from `first` up to `last` (not included) known. Gives whether there was anything to ask for. */
  async need(first, last) {
    if (first >= last) return false;
    const places = [];
    for (let place = this.placeOf(first); place < this.numbers.length && this.starts[place] < last; place += 1) {
      if (!this.runs.has(place) && !this.asking.has(place) && this.counts[place]) places.push(place);
    }
    const jobs = [];
    for (let at = 0; at < places.length; at += MOST_ASKED) jobs.push(this.ask(places.slice(at, at + MOST_ASKED)));
    const others = [...this.asking.entries()].filter(
      ([place]) => this.starts[place] < last && this.starts[place + 1] > first,
    );
    await Promise.all([...jobs, ...others.map(([, job]) => job)]);
    return places.length > 0 || others.length > 0;
  }

  ask(places) {
    const job = getJson("/api/images", { numbers: places.map((place) => String(this.numbers[place])).join(",") })
      .then(({ runs }) => places.forEach((place, index) => this.hold(place, runs[index])))
      .finally(() => places.forEach((place) => this.asking.delete(place)));
    places.forEach((place) => this.asking.set(place, job));
    return job;
  }

  hold(place, run) {
    if (this.runs.size > MOST_HELD)
      for (const key of [...this.runs.keys()].slice(0, MOST_HELD / 2)) this.runs.delete(key);
    const images = Array.from({ length: this.counts[place] }, (_, index) => {
      const image = run?.images[index];
      if (!image) return { isGone: true, opinion: {} };
      return { ...image, run_id: run.run_id, opinion: outbox.overlay(run.run_id, image.digest, image.mine) };
    });
    this.runs.set(place, { images });
    const rated = images.filter(isRated).length; // the index, which counted before, may be a moment behind
    this.ratedAtFirst += rated - this.rated[place];
    this.rated[place] = rated;
  }

  /** The next image from `start` on that is not rated; -1 when there is none. `step` is 1 or -1. */
  async nextUnrated(start, step = 1) {
    let index = start;
    while (index >= 0 && index < this.length) {
      const place = this.placeOf(index);
      if (!this.runs.has(place) && this.rated[place] >= this.counts[place]) {
        index = step > 0 ? this.starts[place + 1] : this.starts[place] - 1;
        continue;
      }
      if (!this.runs.has(place)) await this.need(this.starts[place], this.starts[place + 1]);
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
