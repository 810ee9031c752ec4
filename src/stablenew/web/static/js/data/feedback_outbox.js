// Feedback stays in this browser until the server has it on disk. Each act has a random idempotency key, and the server
// applies an act once however often it receives it; so after a lost connection everything unconfirmed is sent again.

import { postJson, Refused, Unreachable } from "./api.js";
import { FeedbackQueue } from "./feedback_queue.js";
import { onStoredElsewhere, withLock } from "./local_storage.js";
import { applyActs, reversedFeedback } from "./opinions.js";
import { UndoHistory } from "./undo_history.js";

const FIRST_RETRY_MILLISECONDS = 300;
const MAX_RETRY_MILLISECONDS = 5000;
const STALE_ANSWER_MILLISECONDS = 4000;
/** With these the server will never accept the act; anything else may pass. */
const FINAL_STATUSES = [400, 403, 404, 409, 413, 422];

/** @typedef {import("./opinions.js").Act} Act */
/** @typedef {import("./opinions.js").FeedbackInput} FeedbackInput */

export class FeedbackOutbox extends EventTarget {
  constructor() {
    super();
    this.prefix = "";
    this.queue = new FeedbackQueue("");
    this.history = new UndoHistory("");
    this.isSending = false;
    this.retryMilliseconds = FIRST_RETRY_MILLISECONDS;
    this.problem = "";
    /** @type {{act: string, error: string}[]} */
    this.refused = [];
    /** @type {{at: number, act: Act}[]} */
    this.delivered = [];
  }

  /** Open the outbox of one store; what an earlier page could not deliver is delivered now. */
  start(store) {
    this.prefix = `stablenew:${store}:`;
    this.queue = new FeedbackQueue(this.prefix);
    this.history = new UndoHistory(this.prefix);
    this.channel = new BroadcastChannel("stablenew-saving");
    this.channel.onmessage = () => this.reload();
    onStoredElsewhere(this.queue.prefix, () => this.reload()); // the message may come too soon
    this.reload();
    this.send();
  }

  reload() {
    this.queue.reload();
    this.changed();
  }

  /** How many acts the server has not confirmed yet. */
  get unsaved() {
    return this.queue.length;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Queue feedback on images or runs. `before` is their opinions until now, so that undo can show them at once.
   * @param {FeedbackInput[]} inputs @param {any[]} before
   */
  submit(inputs, before = []) {
    const act = newActId();
    this.enqueue({ kind: "say", act, says: inputs.map((input) => ({ ...input, act })) });
    this.history.push({ act, says: inputs, before });
  }

  /**
   * Queue a vote on two images. It stands in the run of the image with the lower digest, where undo finds it.
   * @param {any} vote as `/api/duel/votes` takes it
   */
  vote(vote) {
    const act = newActId();
    const home = vote.winner < vote.loser ? vote.winner_run_id : vote.loser_run_id;
    this.enqueue({ kind: "vote", act, says: [], votes: [{ ...vote, act }] });
    this.history.push({ act, says: [{ run_id: home, image_id: null }], before: [] });
  }

  /**
   * Queue that images of an album get another place in it.
   * @param {any[]} images @param {{query: string, target: string, is_after: boolean}} move as `/api/albums/move` takes it
   */
  move(images, move) {
    const act = newActId();
    const says = images.map(({ run_id, digest }) => ({ run_id, image_id: digest }));
    this.enqueue({ kind: "move", act, says, move });
    this.history.push({ act, says, before: images.map(({ opinion }) => opinion) });
  }

  /** Undo the last act. Gives it, with the opinions before it; null when there is none. */
  undo() {
    const entry = this.history.undo();
    if (!entry) return null;
    const { act, says, before } = entry;
    const reversed = says.map((input, place) => reversedFeedback(input, before[place]));
    this.enqueue({ kind: "undo", act, run_ids: runIds(says), says: reversed });
    return entry;
  }

  /** Submit again what was undone last. Gives it; null when there is none. */
  redo() {
    const newAct = newActId();
    const entry = this.history.redo(newAct);
    if (!entry) return null;
    const { act, says } = entry;
    this.enqueue({ kind: "redo", act, as_act: newAct, run_ids: runIds(says), says });
    return entry;
  }

  /** @param {Act} act */
  enqueue(act) {
    // What the server has not received matters more than what could be undone.
    this.queue.push(act, () => this.history.trim());
    this.changed();
    this.send();
  }

  /** Deliver what is queued, one tab at a time, in order, until the queue is empty. */
  async send() {
    if (this.isSending || !this.prefix) return;
    this.isSending = true;
    try {
      await withLock(`${this.prefix}sending`, () => this.sendAll());
    } finally {
      this.isSending = false;
    }
    if (this.unsaved) setTimeout(() => this.send(), this.problem ? this.retryMilliseconds : 0);
  }

  async sendAll() {
    this.reload();
    while (this.unsaved) {
      const { keys, acts } = this.queue.nextBatch();
      try {
        await this.deliver(acts);
      } catch (error) {
        this.delayRetry(error);
        return;
      }
      this.delivered.push(...acts.map((act) => ({ at: Date.now(), act })));
      this.queue.remove(keys);
      this.problem = "";
      this.retryMilliseconds = FIRST_RETRY_MILLISECONDS;
      this.changed();
      this.channel?.postMessage("delivered");
    }
  }

  /** @param {Act[]} acts */
  async deliver(acts) {
    if (!acts.length) return;
    try {
      await this.post(acts);
    } catch (error) {
      if (!(error instanceof Refused) || !FINAL_STATUSES.includes(error.status)) throw error;
      this.refused.push(...acts.map(({ act }) => ({ act, error: error.message })));
    }
  }

  /** @param {Act[]} acts */
  async post(acts) {
    const [{ kind, act, run_ids, as_act, votes, move, says: moved }] = acts;
    if (kind === "undo") await postJson("/api/undo", { act, run_ids });
    else if (kind === "redo") await postJson("/api/redo", { act, run_ids, as_act });
    else if (kind === "move")
      await postJson("/api/albums/move", { act, images: moved?.map(({ image_id }) => image_id), ...move });
    else if (kind === "vote") this.refused.push(...(await postJson("/api/duel/votes", { votes })).refused);
    else {
      const { refused } = await postJson("/api/feedback", { says: acts.flatMap(({ says }) => says) });
      this.refused.push(...refused);
    }
  }

  delayRetry(error) {
    this.problem = error instanceof Unreachable ? "waiting for the server" : error.message;
    if (error.status === 401) this.problem = "this page needs a fresh link; type stablenew serve";
    this.retryMilliseconds = Math.min(MAX_RETRY_MILLISECONDS, this.retryMilliseconds * 2);
    this.changed();
  }

  /** Forget what the server refused. */
  dismissRefused() {
    this.refused = [];
    this.changed();
  }

  /**
   * The opinion of one image or run as the server gave it, with what it had not received then. What was delivered a
   * moment ago counts as well: the server's answer may be older.
   */
  overlay(runId, imageId, opinion) {
    this.delivered = this.delivered.filter(({ at }) => at > Date.now() - STALE_ANSWER_MILLISECONDS);
    return applyActs(opinion, [...this.delivered.map(({ act }) => act), ...this.queue.acts], runId, imageId);
  }
}

/** @param {FeedbackInput[]} inputs */
const runIds = (inputs) => [...new Set(inputs.map((input) => input.run_id))];

/** A random idempotency key. */
function newActId() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const outbox = new FeedbackOutbox();
