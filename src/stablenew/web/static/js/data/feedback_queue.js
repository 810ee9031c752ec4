// The acts that the server has not confirmed, in the browser's storage, in their order.

import { getJsonItem, listKeys, removeItem, setItem } from "./local_storage.js";

const MAX_BATCH = 400;

/** @typedef {import("./opinions.js").Act} Act */

export class FeedbackQueue {
  /** @param {string} prefix of the keys of this store */
  constructor(prefix) {
    this.prefix = `${prefix}queue:`;
    this.counter = 0;
    /** @type {string[]} */
    this.keys = [];
  }

  /** Read again what is stored: other tabs add and remove too. */
  reload() {
    this.keys = listKeys(this.prefix);
  }

  get length() {
    return this.keys.length;
  }

  /** @returns {Act[]} */
  get acts() {
    return this.keys.map(getJsonItem).filter(Boolean);
  }

  /**
   * Add an act at the end. Where the storage is full, `freeStorage` is called and storing is tried once more; an act
   * that still does not fit lives as long as the page.
   * @param {Act} act
   */
  push(act, freeStorage = () => {}) {
    this.counter += 1;
    // Keys sort by time, so that the acts of all tabs are in one order.
    const time = String(Date.now()).padStart(15, "0");
    const key = `${this.prefix}${time}-${String(this.counter).padStart(6, "0")}-${act.act.slice(0, 6)}`;
    const text = JSON.stringify(act);
    if (!setItem(key, text)) {
      freeStorage();
      setItem(key, text);
    }
    this.keys.push(key);
  }

  /** What the next request delivers. */
  nextBatch() {
    return nextBatch(this.entries());
  }

  *entries() {
    for (const key of this.keys) yield { key, act: getJsonItem(key) };
  }

  /** Remove the first acts, which were delivered. @param {string[]} keys */
  remove(keys) {
    keys.forEach(removeItem);
    this.keys = this.keys.slice(keys.length);
  }
}

/**
 * The first acts that can go in one request: feedback in a row, or one undo or redo alone. An entry whose text cannot be
 * read has no act; its key goes with the batch, so that it is removed.
 * @param {Iterable<{key: string, act: Act | null}>} entries
 */
export function nextBatch(entries) {
  const keys = [];
  /** @type {Act[]} */
  const acts = [];
  let count = 0;
  for (const { key, act } of entries) {
    if (act && acts.length && (act.kind !== "say" || acts[0].kind !== "say")) break;
    keys.push(key);
    if (!act) continue;
    acts.push(act);
    count += act.says?.length ?? 1;
    if (act.kind !== "say" || count >= MAX_BATCH) break;
  }
  return { keys, acts };
}
