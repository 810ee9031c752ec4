import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { installBrowser, load } from "./browser.mjs";

const { UndoHistory } = await load("data/undo_history.js");

const entry = (act) => ({ act, says: [{ run_id: "r", image_id: null, rating: 3 }], before: [{}] });
let history;

beforeEach(() => {
  installBrowser();
  history = new UndoHistory("store:");
});

test("undo gives the acts back, the last first, and then null", () => {
  history.push(entry("a"));
  history.push(entry("b"));
  assert.equal(history.undo().act, "b");
  assert.equal(history.undo().act, "a");
  assert.equal(history.undo(), null);
});

test("redo gives what was undone, the last undone first", () => {
  history.push(entry("a"));
  history.push(entry("b"));
  history.undo();
  history.undo();
  assert.equal(history.redo("a2").act, "a");
  assert.equal(history.redo("b2").act, "b");
  assert.equal(history.redo("c"), null);
});

test("what was redone is undone by its new key", () => {
  history.push(entry("a"));
  history.undo();
  history.redo("a2");
  assert.equal(history.undo().act, "a2");
});

test("a new act ends what could be redone", () => {
  history.push(entry("a"));
  history.undo();
  history.push(entry("b"));
  assert.equal(history.redo("x"), null);
});

test("it survives a reload", () => {
  history.push(entry("a"));
  assert.deepEqual(new UndoHistory("store:").undo(), entry("a"));
});

test("the oldest acts go when there are more than 500", () => {
  for (let count = 0; count < 503; count += 1) history.push(entry(String(count)));
  const undone = [];
  for (let last = history.undo(); last; last = history.undo()) undone.push(last.act);
  assert.equal(undone.length, 500);
  assert.equal(undone.at(-1), "3");
});

test("large acts push out older ones, and the newest stays whatever its size", () => {
  const large = (act, size) => ({ ...entry(act), before: [{ notes: "x".repeat(size) }] });
  history.push(large("a", 400_000));
  history.push(large("b", 400_000));
  history.push(large("c", 2_000_000));
  assert.equal(history.undo().act, "c");
  assert.equal(history.undo(), null);
});

test("trimming leaves the last act to undo and nothing to redo", () => {
  for (const act of ["a", "b", "c"]) history.push(entry(act));
  history.undo();
  history.trim();
  assert.equal(history.redo("x"), null);
  assert.equal(history.undo().act, "b");
  assert.equal(history.undo(), null);
});
