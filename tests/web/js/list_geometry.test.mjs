import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { ListGeometry } = await load("parts/lists/list_geometry.js");

const SPACER = 8_000_000;
const short = new ListGeometry(100, 84, 600);
const long = new ListGeometry(1_000_000, 84, 600);
const tall = new ListGeometry(1003, 220, 700);

test("a list that fits the browser scrolls as it is", () => {
  assert.equal(short.isScaled, false);
  assert.equal(short.spacerHeight, 8400);
  assert.equal(short.maxTop, 7800);
  assert.equal(short.scrollFor(1234), 1234);
  assert.equal(short.topAfterScroll(0, 0, 1234), 1234);
});

test("a list of a million rows gets no taller an element than browsers can draw", () => {
  assert.equal(long.isScaled, true);
  assert.equal(long.spacerHeight, SPACER);
  assert.equal(long.maxTop, 84_000_000 - 600);
});

test("the browser's first and last position are the list's first and last", () => {
  assert.equal(long.scrollFor(0), 0);
  assert.equal(long.scrollFor(long.maxTop), long.maxScroll);
  assert.equal(long.maxScroll, SPACER - 600);
});

test("small movements count pixel for pixel, whatever the scale", () => {
  const top = 42_000_000;
  const scroll = long.scrollFor(top);
  assert.equal(long.topAfterScroll(top, scroll, scroll + 100), top + 100);
  assert.equal(long.topAfterScroll(top, scroll, scroll - 1200), top - 1200);
});

test("a jump of more than two views goes to its share of the list", () => {
  assert.equal(long.topAfterScroll(0, 0, long.maxScroll / 2), long.maxTop / 2);
  assert.equal(long.topAfterScroll(0, 0, long.maxScroll), long.maxTop);
});

test("scrolling to the browser's edge in small steps reaches the list's edge", () => {
  assert.equal(long.topAfterScroll(900, 50, 0), 0);
  assert.equal(long.topAfterScroll(long.maxTop - 900, long.maxScroll - 50, long.maxScroll), long.maxTop);
});

test("at the browser's edge the list still goes on where it has farther to go", () => {
  assert.equal(long.topAfterScroll(50_000, 50, 0), 49_950);
});

test("without movement the list stays, so rounding never makes it creep", () => {
  assert.equal(long.topAfterScroll(1234.5, 118, 118), 1234.5);
});

test("no movement leaves the list", () => {
  for (const [top, last, scroll] of [
    [100, 5000, 4500],
    [long.maxTop - 10, 7_000_000, 7_000_900],
  ]) {
    const after = long.topAfterScroll(top, last, scroll);
    assert.ok(after >= 0 && after <= long.maxTop, String(after));
  }
  assert.equal(long.clampTop(-5), 0);
  assert.equal(long.clampTop(1e12), long.maxTop);
});

test("items partly in the view count as visible", () => {
  assert.deepEqual(short.visibleRange(0), [0, 8]);
  assert.deepEqual(short.visibleRange(83), [0, 9]);
  assert.deepEqual(short.visibleRange(84), [1, 9]);
  assert.deepEqual(short.visibleRange(short.maxTop), [92, 100]);
});

test("half a view more is rendered on each side", () => {
  assert.deepEqual(short.renderedRange(0), [0, 12]);
  assert.deepEqual(short.renderedRange(840), [6, 22]);
});

test("an item in view is revealed without movement", () => {
  assert.equal(short.topToReveal(12, 900), 900);
});

test("an item above or below is revealed at the nearer edge", () => {
  assert.equal(short.topToReveal(5, 900), 420);
  assert.equal(short.topToReveal(20, 900), 21 * 84 - 600);
  assert.equal(tall.topToReveal(1002, 0), tall.maxTop);
});

test("after a resize the first visible item is still the first", () => {
  const narrow = new ListGeometry(1003, 170, 700);
  assert.deepEqual(narrow.visibleRange(tall.topIn(narrow, tall.offsetOf(400)))[0], 400);
});

test("a resize that leaves the height of items moves nothing", () => {
  assert.equal(tall.topIn(new ListGeometry(1003, 220, 300), 1234), 1234);
});

test("a page is what fits whole into the view, and at least one item", () => {
  assert.equal(short.pageSize, 7);
  assert.equal(tall.pageSize, 3);
  assert.equal(new ListGeometry(9, 220, 100).pageSize, 1);
});

test("an empty list and a view without height have nothing to show and nowhere to go", () => {
  const empty = new ListGeometry(0, 220, 0);
  assert.deepEqual(empty.renderedRange(0), [0, 0]);
  assert.equal(empty.maxTop, 0);
  assert.equal(empty.scrollFor(0), 0);
});
