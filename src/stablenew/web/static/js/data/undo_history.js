// What can be undone and redone, in the browser's storage: it survives a reload.

import { getJsonItem, setItem } from "./local_storage.js";

const MAX_ENTRIES = 500;
const MAX_TEXT_LENGTH = 1_000_000;

/** @typedef {{act: string, says: import("./opinions.js").FeedbackInput[], before: any[]}} UndoEntry */

export class UndoHistory {
  /** @param {string} prefix of the keys of this store */
  constructor(prefix) {
    this.prefix = prefix;
  }

  /** A new act: it can be undone, and what was undone before can no longer be redone. @param {UndoEntry} entry */
  push(entry) {
    this.write("undo", [...this.read("undo"), entry]);
    this.write("redo", []);
  }

  /** Move the last act to what can be redone. Gives it; null when there is none. */
  undo() {
    const [entry, remaining] = this.pop("undo");
    if (!entry) return null;
    this.write("undo", remaining);
    this.write("redo", [...this.read("redo"), entry]);
    return entry;
  }

  /** Move what was undone last back, as an act named `act`. Gives it as it was; null when there is none. */
  redo(act) {
    const [entry, remaining] = this.pop("redo");
    if (!entry) return null;
    this.write("redo", remaining);
    this.write("undo", [...this.read("undo"), { ...entry, act }]);
    return entry;
  }

  /** Free storage: only the last act can still be undone. */
  trim() {
    this.write("redo", []);
    this.write("undo", this.read("undo").slice(-1));
  }

  /** The last entry and those before it. @returns {[UndoEntry | null, UndoEntry[]]} */
  pop(name) {
    const stack = this.read(name);
    return [stack.pop() ?? null, stack];
  }

  /** @returns {UndoEntry[]} */
  read(name) {
    return getJsonItem(`${this.prefix}${name}`) ?? [];
  }

  write(name, stack) {
    let entries = stack.slice(-MAX_ENTRIES);
    let text = JSON.stringify(entries);
    while (text.length > MAX_TEXT_LENGTH && entries.length > 1) {
      entries = entries.slice(Math.ceil(entries.length / 2)); // the oldest acts cannot be undone any more
      text = JSON.stringify(entries);
    }
    setItem(`${this.prefix}${name}`, text);
  }
}
