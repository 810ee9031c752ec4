import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { RatingPace } = await load("data/rating_pace.js");

function paceOf(...seconds) {
  const pace = new RatingPace();
  for (const second of seconds) pace.add(1000 * second);
  return pace;
}

test("one rating has no pace yet", () => {
  assert.equal(paceOf().perMinute(0), null);
  assert.equal(paceOf(1).perMinute(2000), null);
});

test("the pace is of the time since the first rating", () => {
  assert.equal(paceOf(0, 10, 20).perMinute(30_000), 6);
});

test("two quick ratings give no absurd pace", () => {
  assert.equal(paceOf(0, 0.1).perMinute(100), 24);
});

test("a pause lowers the pace, and after two minutes there is none", () => {
  const pace = paceOf(0, 1, 2, 3);
  assert.equal(pace.perMinute(60_000), 4);
  assert.equal(pace.perMinute(124_000), null);
});
