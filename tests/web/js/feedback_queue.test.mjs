import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { installBrowser, load, LocalStorage } from "./browser.mjs";

const { FeedbackQueue, nextBatch } = await load("data/feedback_queue.js");

const say = (act, count = 1) => ({ kind: "say", act, says: Array.from({ length: count }, () => ({ run_id: "r" })) });
const undo = (act) => ({ kind: "undo", act, run_ids: ["r"] });
const entries = (...acts) => acts.map((act, index) => ({ key: `key-${index}`, act }));
const namesOf = ({ acts }) => acts.map(({ act }) => act);

beforeEach(() => installBrowser());

test("feedback in a row goes in one batch", () => {
  const batch = nextBatch(entries(say("a"), say("b"), say("c")));
  assert.deepEqual(namesOf(batch), ["a", "b", "c"]);
  assert.deepEqual(batch.keys, ["key-0", "key-1", "key-2"]);
});

test("an undo ends the batch before it and goes alone", () => {
  const all = entries(say("a"), undo("a"), say("b"));
  assert.deepEqual(namesOf(nextBatch(all)), ["a"]);
  assert.deepEqual(namesOf(nextBatch(all.slice(1))), ["a"]);
  assert.deepEqual(nextBatch(all.slice(1)).keys, ["key-1"]);
});

test("two undos are two batches", () => {
  assert.deepEqual(namesOf(nextBatch(entries(undo("a"), undo("b")))), ["a"]);
});

test("a batch ends with the act that brings it to 400 inputs", () => {
  const batch = nextBatch(entries(say("a", 300), say("b", 100), say("c")));
  assert.deepEqual(namesOf(batch), ["a", "b"]);
});

test("one act with more inputs than a batch goes whole", () => {
  assert.deepEqual(namesOf(nextBatch(entries(say("a", 2000), say("b")))), ["a"]);
});

test("an entry that cannot be read is removed with the batch around it", () => {
  const batch = nextBatch(entries(null, say("a"), null, undo("a")));
  assert.deepEqual(namesOf(batch), ["a"]);
  assert.deepEqual(batch.keys, ["key-0", "key-1", "key-2"]);
});

test("nothing is read beyond the batch", () => {
  let reads = 0;
  const lazy = (function* () {
    for (const act of [undo("a"), say("b"), say("c")]) {
      reads += 1;
      yield { key: String(reads), act };
    }
  })();
  nextBatch(lazy);
  assert.equal(reads, 1);
});

test("acts keep their order, also those of another tab and after a reload", () => {
  const here = new FeedbackQueue("store:");
  for (const name of ["a", "b", "c"]) here.push(say(name));
  const other = new FeedbackQueue("store:");
  other.reload();
  assert.deepEqual(
    other.acts.map(({ act }) => act),
    ["a", "b", "c"],
  );
});

test("queues of different stores do not mix", () => {
  new FeedbackQueue("one:").push(say("a"));
  const other = new FeedbackQueue("two:");
  other.reload();
  assert.equal(other.length, 0);
});

test("delivered acts leave the queue and the storage", () => {
  const queue = new FeedbackQueue("store:");
  queue.push(say("a"));
  queue.push(undo("a"));
  queue.remove(queue.nextBatch().keys);
  assert.deepEqual(namesOf(queue.nextBatch()), ["a"]);
  queue.reload();
  assert.equal(queue.length, 1);
});

test("a full storage is freed once, and the act is stored after all", () => {
  const storage = installBrowser({ storage: new LocalStorage(200) });
  storage.setItem("old", "x".repeat(150));
  const queue = new FeedbackQueue("store:");
  queue.push(say("a"), () => storage.removeItem("old"));
  assert.equal(JSON.parse(storage.getItem(queue.keys[0])).act, "a");
});

test("an act that fits nowhere is still delivered while the page lives", () => {
  installBrowser({ storage: new LocalStorage(10) });
  const queue = new FeedbackQueue("memory only:");
  queue.push(say("a"));
  queue.reload();
  assert.deepEqual(namesOf(queue.nextBatch()), ["a"]);
});

test("a text that is no JSON hides no other act", () => {
  const storage = installBrowser();
  storage.setItem("store:queue:000", "{torn");
  const queue = new FeedbackQueue("store:");
  queue.push(say("a"));
  queue.reload();
  assert.deepEqual(namesOf(queue.nextBatch()), ["a"]);
  assert.equal(queue.nextBatch().keys.length, 2);
});
