// The images that fit a search, in order: ids and shapes of all of them, and the rows of those that were shown recently.

import { getBytes, getJson } from "../api.js";
import { outbox } from "../feedback_outbox.js";

const MAX_IDS_PER_REQUEST = 100;
const MAX_CACHED_ROWS = 3000;
const HEAD = 2048;

/** @typedef {{total: number, ids: Int32Array, starts: Uint32Array, ratios: Uint16Array, stacks: Uint16Array, rated: Uint8Array}} Snapshot */

export class ImageList {
  /** @param {{query: string, sort: string, group: string}} search */
  constructor(search) {
    this.search = search;
    this.ids = new Int32Array(0);
    /** width / height of each image, times 4096. */
    this.ratios = new Uint16Array(0);
    /** Whether each image is rated, by anybody. */
    this.rated = new Uint8Array(0);
    /** The position of the first image of each group. */
    this.starts = new Uint32Array(0);
    /** How many images each stands for; empty where they are not stacked. */
    this.stacks = new Uint16Array(0);
    /** The ids of the images that came out of a stack, by the id of its first. @type {Map<number, number[]>} */
    this.opened = new Map();
    this.unratedCount = 0;
    /** How many images fit, when only the first of them are here. */
    this.total = 0;
    /** @type {Map<number, any>} */
    this.rows = new Map();
    /** Rows that changed since they were loaded: shown until the new ones are here. @type {Set<number>} */
    this.stale = new Set();
    /** The requests under way, by the ids they ask for. @type {Map<number, Promise<void>>} */
    this.requests = new Map();
  }

  get length() {
    return this.ids.length;
  }

  get isWhole() {
    return this.length === this.total;
  }

  /** @returns {Promise<Snapshot>} */
  async fetch(signal, limit = null) {
    return readSnapshot(await getBytes("/api/images/snapshot", { ...this.search, limit }, signal));
  }

  /** The first images of the list as it is now, to see what arrived. */
  fetchHead(signal) {
    return this.fetch(signal, HEAD);
  }

  /** @param {Snapshot} snapshot */
  use({ total, ids, starts, ratios, rated, stacks }) {
    Object.assign(this, { total, ids, starts, ratios, stacks, rated: rated.slice() });
    this.unratedCount = rated.reduce((count, isOn) => count + (isOn ? 0 : 1), 0);
  }

  /** Row `index`, if it is known; else undefined. `isGone` where it was removed. */
  row(index) {
    return this.rows.get(this.ids[index]);
  }

  indexOf(id) {
    return this.ids.indexOf(id);
  }

  /** The index of an image among those that are known; -1 when it is not. */
  find(runId, digest) {
    for (const [id, row] of this.rows)
      if (
        (row.digest === digest && row.run_id === runId) ||
        row.places.some((place) => place.run_id === runId && (place.digest ?? row.digest) === digest)
      )
        return this.indexOf(id);
    return -1;
  }

  /** Load the rows from `first` up to `last` (not included). Gives the places of those that were not known yet. */
  async ensureLoaded(first, last) {
    const underWay = new Set();
    const awaited = [];
    const missing = [];
    for (let index = Math.max(0, first); index < Math.min(this.length, last); index += 1) {
      const id = this.ids[index];
      if (this.requests.has(id)) underWay.add(this.requests.get(id));
      else if (!this.rows.has(id) || this.stale.has(id)) missing.push(index);
      else continue;
      awaited.push(index);
    }
    for (let at = 0; at < missing.length; at += MAX_IDS_PER_REQUEST)
      underWay.add(this.request(missing.slice(at, at + MAX_IDS_PER_REQUEST)));
    await Promise.all(underWay);
    return awaited;
  }

  /** @param {number[]} indexes */
  request(indexes) {
    const ids = indexes.map((index) => this.ids[index]);
    ids.forEach((id) => this.stale.delete(id));
    const request = getJson("/api/images/rows", { ids: ids.join(",") })
      .then(({ images }) => ids.forEach((id, place) => this.cache(id, images[place], indexes[place])))
      .finally(() => ids.forEach((id) => this.requests.delete(id)));
    ids.forEach((id) => this.requests.set(id, request));
    return request;
  }

  /** Hold a row as the server gave it; null for an image that is gone, which keeps its place. */
  cache(id, image, expectedIndex = -1) {
    if (this.rows.size > MAX_CACHED_ROWS)
      for (const oldest of [...this.rows.keys()].slice(0, MAX_CACHED_ROWS / 2)) this.rows.delete(oldest);
    const row = image
      ? { ...image, id, opinion: outbox.overlay(image.run_id, image.digest, image.mine) }
      : { id, isGone: true, opinion: {}, places: [] };
    this.rows.set(id, row);
    const index = this.ids[expectedIndex] === id ? expectedIndex : this.indexOf(id); // it may have moved meanwhile
    if (!row.isGone) this.noteRated(index, row);
  }

  /** The images of these runs changed: load them again when they are next in view. */
  expire(/** @type {Set<string>} */ runIds) {
    for (const [id, row] of this.rows) if (row.isGone || runIds.has(row.run_id)) this.stale.add(id);
  }

  expireAll() {
    for (const id of this.rows.keys()) this.stale.add(id);
  }

  /** The index, which counted before, may be a moment behind what a row says. */
  noteRated(index, row) {
    if (index < 0) return;
    const isOn = Number(isRated(row));
    this.unratedCount += this.rated[index] - isOn;
    this.rated[index] = isOn;
  }

  setOpinion(index, opinion) {
    const row = this.row(index);
    row.opinion = opinion;
    this.noteRated(index, row);
  }

  /** The next image from `start` on that is not rated; -1 when there is none. `step` is 1 or -1. */
  nextUnrated(start, step = 1) {
    for (let index = start; index >= 0 && index < this.length; index += step) if (!this.rated[index]) return index;
    return -1;
  }

  /** Take an image out of a list without groups. Gives what `insert` puts back. */
  remove(index) {
    const removed = { index, values: this.columns.map((name) => this[name][index]), id: this.ids[index] };
    const keep = (column) => {
      const kept = new column.constructor(column.length - 1);
      kept.set(column.subarray(0, index));
      kept.set(column.subarray(index + 1), index);
      return kept;
    };
    this.unratedCount -= this.rated[index] ? 0 : 1;
    for (const name of this.columns) this[name] = keep(this[name]);
    this.total -= 1;
    return removed;
  }

  /** Move images before another one, or to the end. Gives where the first of them is then. */
  move(/** @type {number[]} */ indexes, before) {
    const order = [...this.ids.keys()].filter((index) => !indexes.includes(index));
    const first = order.filter((index) => index < before).length;
    order.splice(first, 0, ...indexes);
    for (const name of this.columns) {
      const column = this[name];
      this[name] = column.map((_, place) => column[order[place]]);
    }
    return first;
  }

  /** Put an image back that was taken out. Gives its index. */
  insert({ index, values }) {
    const at = Math.min(index, this.length);
    this.splice(at, Object.fromEntries(this.columns.map((name, place) => [name, [values[place]]])));
    return at;
  }

  /** The names of the columns that hold a value for each image. */
  get columns() {
    return ["ids", "ratios", "rated", ...(this.stacks.length ? ["stacks"] : [])];
  }

  /** Put images in at a position, as columns of their values. */
  splice(at, added) {
    const count = added.ids.length;
    for (const name of this.columns) {
      const column = this[name];
      const joined = new column.constructor(column.length + count);
      joined.set(column.subarray(0, at));
      joined.set(added[name].length ? added[name] : new Array(count).fill(0), at);
      joined.set(column.subarray(at), at + count);
      this[name] = joined;
    }
    this.unratedCount += added.rated.reduce((sum, isOn) => sum + (isOn ? 0 : 1), 0);
    this.total += count;
  }

  /** Put the rest of a stack behind its first image, or take it away again. */
  async toggleStack(index) {
    const id = this.ids[index];
    const rest = this.opened.get(id);
    this.opened.delete(id);
    if (rest) for (const other of rest) this.remove(this.indexOf(other));
    else if (this.stacks[index] > 1) {
      const { query, sort } = this.search;
      const found = readSnapshot(await getBytes("/api/images/stack", { query, sort, id }));
      this.splice(this.indexOf(id) + 1, found);
      this.opened.set(id, [...found.ids]);
    }
  }

  /** What is new at the head of `head`: how many images came before the first that is shown; -1 when more changed. */
  countArrived(/** @type {Snapshot} */ head) {
    const added = head.total - this.total;
    if (added < 0 || added > head.ids.length) return -1;
    for (let place = added; place < head.ids.length; place += 1)
      if (head.ids[place] !== this.ids[place - added]) return -1;
    return added;
  }

  /** Put the first `added` images of `head` before all others. */
  prepend(/** @type {Snapshot} */ head, added) {
    const first = (column) => column.subarray(0, added);
    this.splice(0, {
      ids: first(head.ids),
      ratios: first(head.ratios),
      rated: first(head.rated),
      stacks: first(head.stacks),
    });
    this.total = head.total;
  }
}

/** A snapshot as the server packs it: four numbers, ids and groups' starts (32 bits), ratios and, if stacked, sizes (16), rated (8). */
export function readSnapshot(/** @type {ArrayBuffer} */ buffer) {
  const [total, count, groups, isStacked] = new Uint32Array(buffer, 0, 4);
  const stacked = isStacked ? count : 0;
  const after = 16 + 4 * (count + groups);
  return {
    total,
    ids: new Int32Array(buffer, 16, count),
    starts: new Uint32Array(buffer, 16 + 4 * count, groups),
    ratios: new Uint16Array(buffer, after, count),
    stacks: new Uint16Array(buffer, after + 2 * count, stacked),
    rated: new Uint8Array(buffer, after + 2 * (count + stacked), count),
  };
}

/** Whether anybody has rated an image. */
export const isRated = (row) =>
  [row.opinion, ...Object.values(row.others ?? {})].some((opinion) => typeof opinion?.rating === "number");

/** The stars an image shows: one's own, else the mean of the others', rounded; null when nobody rated it. */
export function shownRating(row) {
  if (typeof row.opinion.rating === "number") return { rating: row.opinion.rating, isMine: true };
  const others = Object.values(row.others ?? {})
    .map((opinion) => opinion.rating)
    .filter((rating) => typeof rating === "number");
  if (!others.length) return null;
  return { rating: Math.round(others.reduce((sum, rating) => sum + rating, 0) / others.length), isMine: false };
}
