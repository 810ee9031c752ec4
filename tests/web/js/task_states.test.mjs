import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { acceptTaskState } = await load("data/task_states.js");

test("an older state of a task that arrives last is not shown", () => {
  assert.equal(acceptTaskState({ kind: "verify", number: 1 }), true);
  assert.equal(acceptTaskState({ kind: "verify", number: 3 }), true);
  assert.equal(acceptTaskState({ kind: "verify", number: 2 }), false);
  assert.equal(acceptTaskState({ kind: "verify", number: 3 }), true);
});

test("tasks of different kinds are numbered on their own", () => {
  assert.equal(acceptTaskState({ kind: "survey", number: 9 }), true);
  assert.equal(acceptTaskState({ kind: "insights", number: 1 }), true);
});
