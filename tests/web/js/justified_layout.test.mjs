import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { JustifiedLayout, lastNotAbove, nearestRowCount } = await load("data/images/justified_layout.js");

const SIZES = { width: 1180, rowHeight: 220, gap: 4, headingHeight: 34 };

/** Numbers that look random and are the same each time. */
function sequence(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

const SHAPES = [0.42, 0.5, 0.68, 0.75, 1, 1, 1, 1.33, 1.5, 1.78, 2.4, 4];

function shapes(count, seed = 7) {
  const next = sequence(seed);
  return Uint16Array.from({ length: count }, () => Math.round(4096 * SHAPES[Math.floor(next() * SHAPES.length)]));
}

const layoutOf = (ratios, starts = [], sizes = {}) =>
  new JustifiedLayout(ratios, Uint32Array.from(starts), { ...SIZES, ...sizes });

const rowsOf = (layout) => Array.from({ length: layout.blockCount }, (_, block) => layout.rowsOf(block)).flat();

test("rows hold every image once, in order", () => {
  const rows = rowsOf(layoutOf(shapes(5000)));
  assert.equal(rows[0].first, 0);
  assert.equal(rows[rows.length - 1].last, 5000);
  for (let row = 1; row < rows.length; row += 1) assert.equal(rows[row].first, rows[row - 1].last);
});

test("every row but the last fills the width exactly", () => {
  const ratios = shapes(5000);
  const layout = layoutOf(ratios);
  for (const { first, last, height } of rowsOf(layout).slice(0, -1)) {
    const pictures = ratios.subarray(first, last).reduce((sum, ratio) => sum + (ratio / 4096) * height, 0);
    assert.ok(Math.abs(pictures + SIZES.gap * (last - first - 1) - SIZES.width) < 0.01);
  }
});

test("rows are nearly as high as asked, panoramas or not", () => {
  const heights = rowsOf(layoutOf(shapes(20_000)))
    .map(({ height }) => height / SIZES.rowHeight)
    .sort((a, b) => a - b);
  const at = (share) => heights[Math.floor(share * heights.length)];
  assert.ok(at(0.05) > 0.75 && at(0.5) > 0.9 && at(0.5) < 1.1 && at(0.95) < 1.35, [0.05, 0.5, 0.95].map(at).join());
});

test("the height of the whole is that of all rows", () => {
  const layout = layoutOf(shapes(3000));
  const sum = rowsOf(layout).reduce((total, { height }) => total + height + SIZES.gap, 0);
  assert.ok(Math.abs(layout.height - sum) < 0.01);
});

test("images that arrive at the head move no row that lies a block below", () => {
  const before = shapes(5000);
  const after = Uint16Array.from([...shapes(14, 99), ...before]);
  const old = layoutOf(before);
  const now = layoutOf(after);
  for (const index of [1100, 2600, 4999]) {
    const [one, other] = [old.boxOf(index), now.boxOf(index + 14)];
    assert.ok(Math.abs(one.left - other.left) < 1e-6);
    assert.ok(Math.abs(old.height - one.top - (now.height - other.top)) < 1e-6);
  }
});

test("the first part of a list is laid out as in the whole when it ends at a block", () => {
  const whole = shapes(5000);
  const part = whole.slice(0, (5000 % 1024) + 1024);
  for (const index of [0, 500, 903, 904, 1500])
    assert.deepEqual(layoutOf(part).boxOf(index), layoutOf(whole).boxOf(index));
});

test("groups begin a row of their own under a heading, and their last row may be ragged", () => {
  const squares = new Uint16Array(12).fill(4096);
  const layout = layoutOf(squares, [0, 3]);
  assert.equal(layout.boxOf(0).top, SIZES.headingHeight);
  assert.equal(layout.boxOf(0).height, SIZES.rowHeight);
  const headings = [];
  layout.walk(
    0,
    layout.height,
    () => {},
    (first, last, top) => headings.push([first, last, top]),
  );
  assert.deepEqual(
    headings.map(([first, last]) => [first, last]),
    [
      [0, 3],
      [3, 12],
    ],
  );
  assert.equal(layout.boxOf(3).top, headings[1][2] + SIZES.headingHeight);
});

test("an image is found at its place, and none between images", () => {
  const layout = layoutOf(shapes(3000));
  for (const index of [0, 17, 1023, 1024, 2999]) {
    const { left, top, width, height } = layout.boxOf(index);
    assert.equal(layout.imageAt(left + width / 2, top + height / 2), index);
    assert.equal(layout.imageAt(left + width / 2, top + height + SIZES.gap / 2), -1);
  }
});

test("a rectangle touches the images it covers", () => {
  const layout = layoutOf(new Uint16Array(30).fill(4096));
  const first = layout.boxOf(0);
  const second = layout.boxOf(1);
  assert.deepEqual(layout.imagesIn({ left: 5, top: 5, right: second.left + 5, bottom: first.height / 2 }), [0, 1]);
  const below = layout.rowOf(0).last;
  const area = { left: 5, top: 5, right: 10, bottom: layout.boxOf(below).top + 5 };
  assert.deepEqual(layout.imagesIn(area), [0, below]);
});

test("up and down lead to the nearest image of the next row, and back", () => {
  const layout = layoutOf(new Uint16Array(30).fill(4096));
  const across = layout.rowOf(0).last;
  assert.equal(layout.neighbour(2, 1), across + 2);
  assert.equal(layout.neighbour(across + 2, -1), 2);
  assert.equal(layout.neighbour(2, -1), 2);
  assert.equal(layout.neighbour(29, 1), 29);
});

test("one image does not fill the wall", () => {
  assert.equal(layoutOf(Uint16Array.from([4096])).boxOf(0).height, SIZES.rowHeight);
});

test("nothing is laid out for no images", () => {
  const layout = layoutOf(new Uint16Array(0));
  assert.equal(layout.height, 0);
  layout.walk(0, 100, () => assert.fail());
});

test("the row count nearest in proportion is taken", () => {
  assert.deepEqual([0.2, 1.4, 1.45, 2.4, 2.5, 7.6].map(nearestRowCount), [1, 1, 2, 2, 3, 8]);
});

test("the last value that is not above is found", () => {
  const values = [0, 10, 20, 20, 30];
  assert.deepEqual(
    [-5, 0, 9, 10, 25, 99].map((wanted) => lastNotAbove(values, 5, wanted)),
    [0, 0, 0, 1, 3, 4],
  );
});
