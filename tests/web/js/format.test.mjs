import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { formatBytes, formatCount, formatDuration, formatLongTime, formatSeed, formatTime, plural } =
  await load("data/format.js");

test("durations are told in the unit that people would use", () => {
  assert.equal(formatDuration(0), "0.0 s");
  assert.equal(formatDuration(9.94), "9.9 s");
  assert.equal(formatDuration(59.4), "59 s");
  assert.equal(formatDuration(59.6), "1 min 0 s");
  assert.equal(formatDuration(3599), "59 min 59 s");
  assert.equal(formatDuration(3661), "1 h 1 min");
});

test("a duration that is not known is no text", () => {
  assert.equal(formatDuration(null), "");
  assert.equal(formatDuration(undefined), "");
});

test("sizes step by a thousand", () => {
  assert.equal(formatBytes(0), "0 bytes");
  assert.equal(formatBytes(999), "999 bytes");
  assert.equal(formatBytes(1000), "1.0 kB");
  assert.equal(formatBytes(1_500_000), "1.5 MB");
  assert.equal(formatBytes(2e9), "2.0 GB");
  assert.equal(formatBytes(3.25e12), "3.3 TB");
  assert.equal(formatBytes(5e15), "5000.0 TB");
});

test("one has no plural s, none has", () => {
  assert.equal(plural(1, "image"), "1 image");
  assert.equal(plural(0, "image"), "0 images");
  assert.equal(plural(1200, "image"), `${formatCount(1200)} images`);
});

test("a seed says how many there are", () => {
  assert.equal(formatSeed({ seed: 7, seed_count: 1 }), "7");
  assert.equal(formatSeed({ seed: 7, seed_count: 3 }), "7 +2");
  assert.equal(formatSeed({ seed: 0, seed_count: 1 }), "0");
  assert.equal(formatSeed({ seed: null, seed_count: 0 }), "");
});

test("a time of another year names it, one of this year does not", () => {
  const year = new Date().getFullYear();
  assert.match(formatTime(`${year - 1}-06-15T12:00:00Z`), new RegExp(`^${year - 1} `));
  assert.doesNotMatch(formatTime(`${year}-06-15T12:00:00Z`), new RegExp(String(year)));
});

test("a time that is not known is said to be unknown", () => {
  assert.equal(formatTime(null), "time unknown");
  assert.equal(formatLongTime(""), "time unknown");
});
