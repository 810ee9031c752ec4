import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { ActionQueue, REVIEW_KEYS, reviewAction } = await load("screens/review_keys.js");

const aborted = () => Promise.reject(new DOMException("left", "AbortError"));

function pressed(key, { shiftKey = false, ...screen } = {}) {
  const calls = [];
  const note = (name) => (value, options) => calls.push([name, value, options]);
  const all = {
    rate: note("rate"),
    moveBy: note("moveBy"),
    isLarge: false,
    list: { columns: 4, pageSize: 12 },
    ...screen,
  };
  reviewAction(all, { key, shiftKey, target: {} })?.();
  return calls[0]?.slice(0, 2);
}

test("digits rate, and Delete takes the rating away", () => {
  assert.deepEqual(pressed("0"), ["rate", 0]);
  assert.deepEqual(pressed("5"), ["rate", 5]);
  assert.deepEqual(pressed("Delete"), ["rate", null]);
});

test("arrows move by an image or a row, in the large view always by an image", () => {
  assert.deepEqual(pressed("ArrowDown"), ["moveBy", 4]);
  assert.deepEqual(pressed("k"), ["moveBy", -4]);
  assert.deepEqual(pressed("ArrowDown", { isLarge: true }), ["moveBy", 1]);
  assert.deepEqual(pressed("PageUp"), ["moveBy", -12]);
  assert.deepEqual(pressed("End"), ["moveBy", Infinity]);
});

test("letters mean the same with Caps Lock on", () => {
  assert.deepEqual(pressed("H"), ["moveBy", -1]);
});

test("keys without a meaning do nothing", () => {
  for (const key of ["q", "F5", "Shift", "Tab"]) assert.equal(pressed(key), undefined, key);
});

test("the help lists the keys", () => {
  const told = REVIEW_KEYS.flatMap(([, keys]) => keys.flatMap(([names]) => names.split(" ")));
  for (const key of ["Delete", "p", "x", "u", "t", "n", "z", "c", "f", "]", "[", "Enter", "Esc"])
    assert.ok(told.includes(key), key);
});

test("with nothing to wait for an action runs at once", () => {
  const queue = new ActionQueue({ isReady: () => true, load: async () => {} });
  let hasRun = false;
  queue.add(() => {
    hasRun = true;
  });
  assert.equal(hasRun, true);
});

test("actions wait for the image they are about, and keep their order", async () => {
  let isReady = false;
  const order = [];
  const queue = new ActionQueue({
    isReady: () => isReady,
    load: async () => {
      order.push("load");
      isReady = true;
    },
  });
  for (const name of ["a", "b", "c"]) queue.add(() => order.push(name));
  assert.deepEqual(order, []);
  await queue.last;
  assert.deepEqual(order, ["load", "a", "b", "c"]);
});

test("an action waits for the one before, however long that takes", async () => {
  const order = [];
  const queue = new ActionQueue({ isReady: () => true, load: async () => {} });
  queue.add(async () => {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    order.push("slow");
  });
  queue.add(() => order.push("quick"));
  await queue.last;
  assert.deepEqual(order, ["slow", "quick"]);
});

test("an action that ends because the screen was left stops no later one", async () => {
  const queue = new ActionQueue({ isReady: () => true, load: async () => {} });
  let hasRun = false;
  queue.add(aborted);
  queue.add(() => {
    hasRun = true;
  });
  await queue.last;
  assert.equal(hasRun, true);
  assert.equal(queue.pending, 0);
});
