// The next pairs of a duel: drawn by the server, their pictures decoded before they are shown.

import { getJson, outputUrl, Unreachable } from "../../data/api.js";

const AHEAD = 3;
const RETRY_MILLISECONDS = 1000;
/** The server may know these a moment later than the page: it is told not to draw them again. */
const REMEMBERED = 12;

const nameOf = ({ left, right }) => `${left.digest}-${right.digest}`;

export class PairQueue {
  /** @param {{query: string, by: string, matters: string}} question */
  constructor(question) {
    this.question = question;
    /** @type {any[]} */
    this.pairs = [];
    /** @type {string[]} */
    this.shown = [];
    this.state = { is_decided: false, progress: 0, vote_count: 0 };
    this.isClosed = false;
    /** @type {Promise<void> | null} */
    this.request = null;
  }

  /** The pair to show, or null when all were voted on. Waits while the server is away: votes wait in the outbox. */
  async current() {
    while (!this.pairs.length && !(await this.tryToDraw())) await this.rest();
    if (this.pairs.length) await Promise.all(this.pairs[0].pictures.map((picture) => picture.decode().catch(() => {})));
    return this.pairs[0] ?? null;
  }

  /** Go on to the next pair. */
  advance() {
    const [pair] = this.pairs.splice(0, 1);
    this.shown = [...this.shown, nameOf(pair)].slice(-REMEMBERED);
    if (this.pairs.length < AHEAD) this.draw().catch(() => {});
  }

  /** Show a pair again, because the vote on it was undone. */
  putBack(pair) {
    this.pairs.unshift(pair);
    this.shown = this.shown.filter((name) => name !== nameOf(pair));
  }

  /** Gives whether the server could be asked. */
  async tryToDraw() {
    try {
      await this.draw();
      return true;
    } catch (error) {
      if (!(error instanceof Unreachable) || this.isClosed) throw error;
      return false;
    }
  }

  rest() {
    return new Promise((resolve) => {
      setTimeout(resolve, RETRY_MILLISECONDS);
    });
  }

  close() {
    this.isClosed = true;
  }

  draw() {
    this.request ??= this.fetch().finally(() => {
      this.request = null;
    });
    return this.request;
  }

  async fetch() {
    const excluded = [...this.shown, ...this.pairs.map(nameOf)].join(",");
    const { pairs, ...state } = await getJson("/api/duel/pairs", { ...this.question, count: AHEAD, excluded });
    this.state = state;
    this.pairs.push(...pairs.map((pair) => ({ ...pair, pictures: [pair.left, pair.right].map(buildPicture) })));
  }
}

/** A picture that is loading already. Its text says nothing of what it is. */
function buildPicture(image) {
  const picture = new Image();
  picture.decoding = "async";
  picture.alt = "";
  picture.src = outputUrl(image.run_id, image.digest);
  return picture;
}
