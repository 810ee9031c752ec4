import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { load } from "./browser.mjs";

const { ImageSelection } = await load("data/image_selection.js");

let selection;

beforeEach(() => {
  selection = new ImageSelection();
  selection.moveTo(10);
});

test("without a selection a key is about the image under the cursor", () => {
  assert.deepEqual(selection.indexes, [10]);
  assert.equal(selection.isBatch, false);
});

test("a range reaches from the anchor to the cursor, in either direction", () => {
  selection.extendTo(12);
  assert.deepEqual(selection.indexes, [10, 11, 12]);
  selection.extendTo(9);
  assert.deepEqual(selection.indexes, [9, 10]);
  assert.equal(selection.cursor, 9);
});

test("moving the cursor ends the selection and sets the anchor", () => {
  selection.extendTo(12);
  selection.moveTo(20);
  assert.deepEqual(selection.indexes, [20]);
  selection.extendTo(21);
  assert.deepEqual(selection.indexes, [20, 21]);
});

test("the first toggle takes the image under the cursor along", () => {
  selection.toggle(3);
  assert.deepEqual(selection.indexes, [3, 10]);
});

test("toggling an image twice takes it out again", () => {
  selection.toggle(3);
  selection.toggle(7);
  selection.toggle(3);
  assert.deepEqual(selection.indexes, [7, 10]);
});

test("a selection of one image is about the cursor, as without", () => {
  selection.toggle(3);
  selection.toggle(10);
  assert.equal(selection.size, 1);
  assert.deepEqual(selection.indexes, [10]);
});

test("indexes are in order of the images and not of the clicks", () => {
  for (const index of [200, 3, 30]) selection.toggle(index);
  assert.deepEqual(selection.indexes, [3, 10, 30, 200]);
});

test("no more than 2,000 images are selected at once", () => {
  selection.extendTo(100_000);
  assert.equal(selection.size, 2000);
  selection.selectAll(1_000_000);
  assert.deepEqual([selection.indexes[0], selection.size], [0, 2000]);
});

test("all means all where there are fewer", () => {
  selection.selectAll(12);
  assert.equal(selection.size, 12);
  assert.equal(selection.cursor, 11);
});

test("exactly these are selected, with the cursor on the last", () => {
  selection.replace([4, 9, 6]);
  assert.deepEqual(selection.indexes, [4, 6, 9]);
  assert.equal(selection.cursor, 6);
});

test("images that arrive leave the same images selected", () => {
  selection.replace([4, 10]);
  selection.shift(0, 3);
  assert.deepEqual(selection.indexes, [7, 13]);
  assert.equal(selection.cursor, 13);
});

test("an image that goes is selected no more, and the others stay", () => {
  selection.replace([4, 6, 10]);
  selection.drop(6);
  assert.deepEqual(selection.indexes, [4, 9]);
});

test("the corner of an image selects it alone, Ctrl adds it to the one under the cursor", () => {
  selection.toggle(3, { keepsCursor: false });
  assert.equal(selection.size, 1);
  selection.moveTo(10);
  selection.toggle(3);
  assert.deepEqual(selection.indexes, [3, 10]);
});
