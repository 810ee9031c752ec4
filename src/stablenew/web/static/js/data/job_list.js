// The jobs that fit a search: the numbers of all of them, and the rows of those that were shown recently.

import { getJson } from "./api.js";

const MAX_ROWS_PER_REQUEST = 120;
const MAX_CACHED_ROWS = 4000;
const MAX_MERGED = 5000;

export class JobList {
  /** @param {{onRows: () => void, onError: (error: Error) => void}} options what to do when rows arrive, or cannot */
  constructor({ onRows, onError }) {
    this.onRows = onRows;
    this.onError = onError;
    /** The jobs in the order of the list, by their number in the index. */
    this.numbers = new BigInt64Array(0);
    /** @type {Map<string, any>} */
    this.rows = new Map();
    /** What is searched for: each row names the images that fit. */
    this.query = "";
    this.range = [0, 0];
    this.isLoading = false;
    /** Ends the requests when the search changes. @type {AbortSignal | undefined} */
    this.signal = undefined;
  }

  get length() {
    return this.numbers.length;
  }

  /** What is shown at `index`; undefined while it is not known, `isGone` when the job was removed. */
  row(index) {
    return this.rows.get(String(this.numbers[index]));
  }

  /** The job at `index`; null while it is not known, or when it was removed. */
  job(index) {
    const row = this.row(index);
    return row && !row.isGone ? row : null;
  }

  /** @param {string} number */
  hasRow(number) {
    return this.rows.has(number);
  }

  cache(row) {
    if (this.rows.size > MAX_CACHED_ROWS)
      for (const oldest of [...this.rows.keys()].slice(0, MAX_CACHED_ROWS / 2)) this.rows.delete(oldest);
    this.rows.set(row.number, row);
  }

  setRating(runId, rating) {
    for (const row of this.rows.values()) if (row.run_id === runId) row.rating = rating;
  }

  /** Load the rows from `first` up to `last` that are missing. One request at a time, for the latest range. */
  async load(first, last) {
    this.range = [first, last];
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      for (let missing = this.missing(); missing.length; missing = this.missing()) {
        const { jobs } = await getJson(
          "/api/jobs/rows",
          { numbers: missing.join(","), query: this.query },
          this.signal,
        );
        jobs.forEach((job, index) => this.cache(job ?? { number: missing[index], isGone: true }));
        this.onRows();
      }
    } catch (error) {
      this.onError(error);
    } finally {
      this.isLoading = false;
    }
  }

  missing() {
    const [first, last] = this.range;
    const found = [];
    for (let index = first; index < last && found.length < MAX_ROWS_PER_REQUEST; index += 1) {
      const number = String(this.numbers[index]);
      if (index < this.numbers.length && !this.rows.has(number)) found.push(number);
    }
    return found;
  }
}

/** The position of `number` in descending numbers, or where it would be. */
export function findDescending(numbers, number) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > number) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Descending numbers with those added that are missing; the same object when all are there. Null when one belongs so far down
 * that asking the server again costs less.
 * @param {BigInt64Array} numbers @param {bigint[]} arrived
 */
export function mergeDescending(numbers, arrived) {
  const isKnown = (number) => numbers[findDescending(numbers, number)] === number;
  const added = [...new Set(arrived)].filter((number) => !isKnown(number)).sort(descending);
  if (!added.length) return numbers;
  const tail = findDescending(numbers, added[added.length - 1]);
  if (tail > MAX_MERGED) return null;
  const merged = new BigInt64Array(numbers.length + added.length);
  merged.set([...numbers.subarray(0, tail), ...added].sort(descending));
  merged.set(numbers.subarray(tail), tail + added.length);
  return merged;
}

const descending = (a, b) => (a < b ? 1 : -1);
