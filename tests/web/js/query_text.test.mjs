import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { completeCondition, conditionAt, insertCompletion, quoteValue, removeCondition, splitQuery, toggleCondition } =
  await load("data/query_text.js");

const textsOf = (query) => splitQuery(query).map((part) => part.text);
const KNOWN = {
  fields: ["model", "mode", "sampler", "finished"],
  switches: ["finished"],
  values: {
    model: [
      { value: "dreamlike", job_count: 12 },
      { value: "Deep Dream", job_count: 3 },
    ],
    steps: [{ value: 20, job_count: 5 }],
  },
};
const completionsOf = (condition) => completeCondition(condition, KNOWN).map(({ text }) => text);

test("conditions are split at spaces, and each knows where it stands", () => {
  assert.deepEqual(splitQuery("  model:x   -blurry"), [
    { text: "model:x", at: 2 },
    { text: "-blurry", at: 12 },
  ]);
});

test("spaces within quotes split nothing", () => {
  assert.deepEqual(textsOf('model:"Deep Dream" "oil painting" sea'), ['model:"Deep Dream"', '"oil painting"', "sea"]);
});

test("a quote that is not closed yet goes on to the end", () => {
  assert.deepEqual(textsOf('sea pack:"my pack and'), ["sea", 'pack:"my pack and']);
});

test("an empty search has no conditions", () => {
  assert.deepEqual(splitQuery("  "), []);
});

test("a value is quoted where it needs it, and only there", () => {
  assert.equal(quoteValue("dreamlike"), "dreamlike");
  assert.equal(quoteValue("Euler a"), '"Euler a"');
  assert.equal(quoteValue("a,b"), '"a,b"');
  assert.equal(quoteValue('say "no"'), '"say no"');
  assert.equal(quoteValue(""), '""');
});

test("a condition toggled twice leaves the search as it was", () => {
  const query = "-blurry steps:20";
  const narrowed = toggleCondition(query, "model", "Deep Dream");
  assert.equal(narrowed, '-blurry steps:20 model:"Deep Dream"');
  assert.equal(toggleCondition(narrowed, "model", "Deep Dream"), query);
});

test("toggling takes away every repetition of a condition", () => {
  assert.equal(toggleCondition("steps:20 sea steps:20", "steps", 20), "sea");
});

test("removing one of two equal conditions leaves the other", () => {
  assert.equal(removeCondition("sea sea fog", 0), "sea fog");
});

test("the condition at the cursor is the one that ends there", () => {
  assert.deepEqual(conditionAt("sea model:dr", 12), { text: "model:dr", at: 4 });
  assert.deepEqual(conditionAt("sea model:dr", 7), { text: "mod", at: 4 });
  assert.deepEqual(conditionAt("sea ", 4), { text: "", at: 4 });
  assert.deepEqual(conditionAt("", 0), { text: "", at: 0 });
});

test("a beginning is completed to fields, nothing to nothing", () => {
  assert.deepEqual(completionsOf("mod"), ["model:", "mode:"]);
  assert.deepEqual(completionsOf("MOD"), ["model:", "mode:"]);
  assert.deepEqual(completionsOf("-sa"), ["-sampler:"]);
  assert.deepEqual(completionsOf(""), []);
});

test("a field is completed to its values, with how many jobs have each", () => {
  assert.deepEqual(completeCondition("model:", KNOWN), [
    { text: "model:dreamlike", note: "12" },
    { text: 'model:"Deep Dream"', note: "3" },
  ]);
  assert.deepEqual(completionsOf("-steps:2"), ["-steps:20"]);
});

test("values are found by any part of them, in any case, within quotes too", () => {
  assert.deepEqual(completionsOf("model:DREAM"), ["model:dreamlike", 'model:"Deep Dream"']);
  assert.deepEqual(completionsOf('model:"deep d'), ['model:"Deep Dream"']);
});

test("a switch is completed to yes and no, an unknown field to nothing", () => {
  assert.deepEqual(completionsOf("finished:"), ["finished:yes", "finished:no"]);
  assert.deepEqual(completionsOf("nothing:x"), []);
});

test("a whole condition is followed by a space, a field by its value", () => {
  assert.deepEqual(insertCompletion("sea mod", 7, "model:"), { text: "sea model:", cursor: 10 });
  assert.deepEqual(insertCompletion("sea model:dr", 12, "model:dreamlike"), {
    text: "sea model:dreamlike ",
    cursor: 20,
  });
});

test("what stands after the cursor stays, with one space between", () => {
  assert.deepEqual(insertCompletion("model:dr fog", 8, "model:dreamlike"), { text: "model:dreamlike fog", cursor: 16 });
});
