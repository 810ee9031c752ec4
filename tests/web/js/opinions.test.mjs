import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { applyActs, applyFeedback, reversedFeedback } = await load("data/opinions.js");

const RUN = "run-1";
const IMAGE = "sha256:1";
const rate = (act, rating, imageId = IMAGE) => ({
  kind: "say",
  act,
  says: [{ run_id: RUN, image_id: imageId, rating, act }],
});

test("a rating replaces the one before and leaves the rest alone", () => {
  assert.deepEqual(applyFeedback({ rating: 2, flag: "pick" }, { rating: 0 }), { rating: 0, flag: "pick" });
});

test("null takes a rating or a flag away", () => {
  assert.deepEqual(applyFeedback({ rating: 2, flag: "pick" }, { rating: null }), { flag: "pick" });
  assert.deepEqual(applyFeedback({ rating: 2, flag: "pick" }, { flag: null }), { rating: 2 });
});

test("tags are added and removed, sorted, each once", () => {
  const opinion = { tags: ["sea", "boat"] };
  assert.deepEqual(applyFeedback(opinion, { tags: ["fog", "boat"], remove_tags: ["sea"] }), { tags: ["boat", "fog"] });
});

test("a tag that is removed and added at once is there", () => {
  assert.deepEqual(applyFeedback({ tags: ["colour:red"] }, { tags: ["colour:red"], remove_tags: ["colour:red"] }), {
    tags: ["colour:red"],
  });
});

test("empty lists of tags change nothing", () => {
  assert.deepEqual(applyFeedback({ rating: 1 }, { tags: [], remove_tags: [] }), { rating: 1 });
});

test("a note replaces the one before, an empty one takes it away", () => {
  const noted = applyFeedback({}, { notes: "too dark" });
  assert.deepEqual(noted, { notes: [{ note_id: "main", text: "too dark" }] });
  assert.deepEqual(applyFeedback(noted, { notes: "" }), { notes: [] });
});

test("the opinion that was given stays as it was", () => {
  const opinion = Object.freeze({ rating: 1, tags: Object.freeze(["a"]) });
  applyFeedback(opinion, { rating: 5, tags: ["b"], remove_tags: ["a"] });
  assert.deepEqual(opinion, { rating: 1, tags: ["a"] });
});

test("acts apply in their order, the last rating counts", () => {
  assert.deepEqual(applyActs({ rating: 1 }, [rate("a", 2), rate("b", 4)], RUN, IMAGE), { rating: 4 });
});

test("acts on other images, on the run and on other runs are left out", () => {
  const acts = [rate("a", 2, "sha256:2"), rate("b", 3, null)];
  assert.deepEqual(applyActs({}, acts, RUN, IMAGE), {});
  assert.deepEqual(applyActs({}, acts, RUN, null), { rating: 3 });
  assert.deepEqual(applyActs({}, acts, "run-2", null), {});
});

test("an undone act no longer counts, and the one before it does", () => {
  const acts = [rate("a", 2), rate("b", 4), { kind: "undo", act: "b", run_ids: [RUN] }];
  assert.deepEqual(applyActs({}, acts, RUN, IMAGE), { rating: 2 });
});

test("undo of an act that the server has long had keeps the server's opinion", () => {
  assert.deepEqual(applyActs({ rating: 5 }, [{ kind: "undo", act: "old", run_ids: [RUN] }], RUN, IMAGE), { rating: 5 });
});

test("redo counts again, under its new key, and can be undone by that", () => {
  const undo = { kind: "undo", act: "a", run_ids: [RUN] };
  const redo = { ...rate("a", 2), kind: "redo", as_act: "b" };
  assert.deepEqual(applyActs({}, [rate("a", 2), undo, redo], RUN, IMAGE), { rating: 2 });
  assert.deepEqual(applyActs({}, [rate("a", 2), undo, redo, { ...undo, act: "b" }], RUN, IMAGE), {});
});

test("an answer from before an undo is corrected by what the undo takes back", () => {
  const input = { run_id: RUN, image_id: IMAGE, flag: "reject", rating: 2, tags: ["a", "b"], remove_tags: ["c"] };
  const before = { rating: 4, tags: ["a", "c"] };
  const says = [reversedFeedback({ ...input, trashed: true, notes: "dull" }, before)];
  const stale = applyFeedback(before, { ...input, trashed: true, notes: "dull" });
  const acts = [
    { kind: "say", act: "a", says: [{ ...input, act: "a" }] },
    { kind: "undo", act: "a", says },
  ];
  assert.deepEqual(applyActs(stale, acts, RUN, IMAGE), { ...before, notes: [] });
});

test("what is submitted after an undo counts", () => {
  const undo = { kind: "undo", act: "a", says: [reversedFeedback({ run_id: RUN, image_id: IMAGE, rating: 2 }, {})] };
  assert.deepEqual(applyActs({ rating: 2 }, [rate("a", 2), undo], RUN, IMAGE), {});
  assert.deepEqual(applyActs({ rating: 2 }, [rate("a", 2), undo, rate("b", 5)], RUN, IMAGE), { rating: 5 });
});

test("an undo of an older page, which does not hold what it takes back, still ends its act", () => {
  assert.deepEqual(applyActs({}, [rate("a", 2), { kind: "undo", act: "a" }], RUN, IMAGE), {});
});
