// Everything said is kept in this browser until the server has it on disk. Each act has a name by chance, and the server
// counts an act once however often it hears it; so after a lost connection everything unanswered is simply said again.

import { postJson, Refused, Unreachable } from "./api.js";
import { forget, getKept, keep, keptKeys } from "./local_storage.js";

const MOST_AT_ONCE = 400;
const MOST_UNDO = 500;
const LONGEST_STACK = 1_000_000;
const FIRST_RETRY = 300;
const LONGEST_RETRY = 5000;
const ANSWER_MILLISECONDS = 4000;

/** @typedef {{run_id: string, image_id: string | null, rating?: number | null, flag?: string | null, tags?: string[], remove_tags?: string[], notes?: string}} Saying */

class Saving extends EventTarget {
  constructor() {
    super();
    this.prefix = "";
    this.counter = 0;
    this.isSending = false;
    this.retry = FIRST_RETRY;
    this.problem = "";
    /** @type {{act: string, error: string}[]} */
    this.refused = [];
    this.keys = [];
    /** @type {{at: number, item: any}[]} */
    this.delivered = [];
  }

  /** Begin for one store; what an earlier page could not deliver is delivered now. */
  start(store) {
    this.prefix = `stablenew:${store}:`;
    this.channel = new BroadcastChannel("stablenew-saving");
    this.channel.onmessage = () => this.reread();
    this.reread();
    this.send();
  }

  reread() {
    this.keys = keptKeys(`${this.prefix}queue:`);
    this.changed();
  }

  /** How many acts the server has not confirmed yet. */
  get unsaved() {
    return this.keys.length;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** The acts that wait, in order. */
  waiting() {
    return this.keys.map((key) => this.read(key)).filter(Boolean);
  }

  read(key) {
    try {
      return JSON.parse(getKept(key) ?? "null");
    } catch {
      return null;
    }
  }

  put(item) {
    this.counter += 1;
    const place = `${String(Date.now()).padStart(15, "0")}-${String(this.counter).padStart(6, "0")}-${item.act.slice(0, 6)}`;
    const key = `${this.prefix}queue:${place}`;
    if (!keep(key, JSON.stringify(item))) this.makeRoom();
    this.keys.push(key);
    this.changed();
    this.send();
  }

  /**
   * Say something of images or runs. `before` is what they were, so that undo can show it at once.
   * @param {Saying[]} says @param {any[]} before
   */
  say(says, before = []) {
    const act = newAct();
    const named = says.map((one) => ({ ...one, act }));
    this.put({ kind: "say", act, says: named });
    this.pushUndo({ act, says, before });
    this.writeStack("redo", []);
  }

  readStack(name) {
    return this.read(`${this.prefix}${name}`) ?? [];
  }

  writeStack(name, stack) {
    let kept = stack.slice(-MOST_UNDO);
    let text = JSON.stringify(kept);
    while (text.length > LONGEST_STACK && kept.length > 1) {
      kept = kept.slice(Math.ceil(kept.length / 2)); // the oldest acts cannot be taken back by a key any more
      text = JSON.stringify(kept);
    }
    keep(`${this.prefix}${name}`, text);
  }

  /** What waits for the server matters more than what could be taken back. */
  makeRoom() {
    this.writeStack("redo", []);
    this.writeStack("undo", this.readStack("undo").slice(-1));
  }

  pushUndo(entry) {
    this.writeStack("undo", [...this.readStack("undo"), entry]);
  }

  /** Take the last act back. Gives it, with what was before; null when there is none. */
  undo() {
    const stack = this.readStack("undo");
    const entry = stack.pop();
    if (!entry) return null;
    this.writeStack("undo", stack);
    this.writeStack("redo", [...this.readStack("redo"), entry]);
    this.put({ kind: "undo", act: entry.act, run_ids: runIds(entry.says) });
    return entry;
  }

  /** Say again what was taken back last. Gives it; null when there is none. */
  redo() {
    const stack = this.readStack("redo");
    const entry = stack.pop();
    if (!entry) return null;
    const act = newAct();
    this.writeStack("redo", stack);
    this.pushUndo({ ...entry, act });
    this.put({ kind: "redo", act: entry.act, as_act: act, run_ids: runIds(entry.says), says: entry.says });
    return entry;
  }

  /** Deliver what waits, one tab at a time, in order, until nothing waits. */
  async send() {
    if (this.isSending || !this.prefix) return;
    this.isSending = true;
    try {
      await navigator.locks.request(`${this.prefix}sending`, () => this.sendAll());
    } finally {
      this.isSending = false;
    }
    if (this.keys.length) setTimeout(() => this.send(), this.problem ? this.retry : 0);
  }

  async sendAll() {
    this.reread();
    while (this.keys.length) {
      const batch = this.nextBatch();
      try {
        await this.deliver(batch.items);
      } catch (error) {
        this.wait(error);
        return;
      }
      this.delivered.push(...batch.items.map((item) => ({ at: Date.now(), item })));
      for (const key of batch.keys) forget(key);
      this.keys = this.keys.slice(batch.keys.length);
      this.problem = "";
      this.retry = FIRST_RETRY;
      this.changed();
      this.channel.postMessage("delivered");
    }
  }

  /** Acts that can go in one request: sayings in a row, or one undo or redo. */
  nextBatch() {
    const keys = [];
    const items = [];
    let count = 0;
    for (const key of this.keys) {
      const item = this.read(key);
      if (item && items.length && (item.kind !== "say" || items[0].kind !== "say")) break;
      keys.push(key);
      if (!item) continue;
      items.push(item);
      count += item.says?.length ?? 1;
      if (item.kind !== "say" || count >= MOST_AT_ONCE) break;
    }
    return { keys, items };
  }

  async deliver(items) {
    if (!items.length) return;
    try {
      if (items[0].kind === "say") {
        const answer = await postJson("/api/feedback", { says: items.flatMap((item) => item.says) });
        this.refused.push(...answer.refused);
      } else {
        const { kind, act, run_ids, as_act } = items[0];
        await postJson(`/api/${kind}`, kind === "redo" ? { act, run_ids, as_act } : { act, run_ids });
      }
    } catch (error) {
      if (!(error instanceof Refused) || ![400, 403, 404, 409, 413, 422].includes(error.status)) throw error;
      this.refused.push(...items.map((item) => ({ act: item.act, error: error.message })));
    }
  }

  wait(error) {
    this.problem = error instanceof Unreachable ? "waiting for the server" : error.message;
    if (error.status === 401) this.problem = "this page needs a fresh link; type stablenew serve";
    this.retry = Math.min(LONGEST_RETRY, this.retry * 2);
    this.changed();
  }

  /** Forget what the server would not take. */
  dismiss() {
    this.refused = [];
    this.changed();
  }

  /**
   * What waits to be said of one image or run, put on top of what the server says. What was delivered a moment ago
   * counts as well: the server's answer may be older.
   */
  overlay(runId, imageId, opinion) {
    this.delivered = this.delivered.filter(({ at }) => at > Date.now() - ANSWER_MILLISECONDS);
    const standing = new Map();
    for (const item of [...this.delivered.map((one) => one.item), ...this.waiting()]) {
      if (item.kind === "undo") standing.delete(item.act);
      else standing.set(item.kind === "redo" ? item.as_act : item.act, item.says);
    }
    const said = [...standing.values()].flat().filter((one) => one.run_id === runId && one.image_id === imageId);
    return said.reduce(applySaying, opinion);
  }
}

const runIds = (says) => [...new Set(says.map((one) => one.run_id))];

function newAct() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An opinion after something more was said. */
export function applySaying(opinion, saying) {
  const after = { ...opinion };
  for (const name of ["rating", "flag"]) {
    if (name in saying) {
      if (saying[name] === null) delete after[name];
      else after[name] = saying[name];
    }
  }
  if (saying.tags?.length || saying.remove_tags?.length) {
    const gone = new Set(saying.remove_tags ?? []);
    after.tags = [...new Set([...(after.tags ?? []).filter((tag) => !gone.has(tag)), ...(saying.tags ?? [])])].sort();
  }
  if (saying.notes !== undefined) after.notes = saying.notes ? [{ note_id: "main", text: saying.notes }] : [];
  return after;
}

export const saving = new Saving();
