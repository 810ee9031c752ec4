import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { load, STATIC } from "./browser.mjs";

const { ActionQueue, wallAction } = await load("screens/wall/keys.js");

const aborted = () => Promise.reject(new DOMException("left", "AbortError"));

function pressed(key, { shiftKey = false, code = "", target = {}, ...screen } = {}) {
  const calls = [];
  const note = (name) => (value) => calls.push([name, value]);
  const all = {
    acts: { rate: note("rate"), trash: note("trash") },
    moveTo: note("moveTo"),
    feedback: { toggleColour: note("colour") },
    isLoupeOpen: false,
    cursor: 10,
    list: { length: 100 },
    view: { rowsInView: 3, stepRows: (index, rows) => index + 4 * rows },
    ...screen,
  };
  wallAction(all, { key, code, shiftKey, target })?.();
  return calls[0];
}

test("digits rate, and a dash removes the rating", () => {
  assert.deepEqual(pressed("0"), ["rate", 0]);
  assert.deepEqual(pressed("5"), ["rate", 5]);
  assert.deepEqual(pressed("-"), ["rate", null]);
});

test("digits go by their place on the keyboard", () => {
  assert.deepEqual(pressed("é", { code: "Digit2" }), ["rate", 2]);
  assert.deepEqual(pressed("4", { code: "Numpad4" }), ["rate", 4]);
  assert.deepEqual(pressed("-", { code: "Digit6" }), ["colour", "red"]);
});

test("arrows move by an image or a row, in the loupe always by an image", () => {
  assert.deepEqual(pressed("ArrowDown"), ["moveTo", 14]);
  assert.deepEqual(pressed("k"), ["moveTo", 6]);
  assert.deepEqual(pressed("ArrowDown", { isLoupeOpen: true }), ["moveTo", 11]);
  assert.deepEqual(pressed("PageUp"), ["moveTo", -2]);
  assert.deepEqual(pressed("Home"), ["moveTo", 0]);
  assert.deepEqual(pressed("End"), ["moveTo", 99]);
});

test("letters mean the same with Caps Lock on", () => {
  assert.deepEqual(pressed("H"), ["moveTo", 9]);
  assert.equal(pressed("CapsLock"), undefined);
});

test("Backspace and Delete are the trash", () => {
  assert.equal(pressed("Backspace")[0], "trash");
  assert.equal(pressed("Delete")[0], "trash");
});

test("keys without a meaning do nothing", () => {
  for (const key of ["q", "F5", "Shift", "Tab"]) assert.equal(pressed(key), undefined, key);
});

test("Space and Enter on a button are the button's", () => {
  const target = { closest: () => ({}) };
  for (const key of [" ", "Enter"]) assert.equal(pressed(key, { target }), undefined);
});

test("the help lists the keys", () => {
  const keysOfWall = JSON.parse(readFileSync(new URL("../keys.json", STATIC), "utf8")).Wall;
  const listed = keysOfWall.flatMap(([, keys]) => keys.flatMap(([names]) => names.split(" ")));
  for (const key of ["Backspace", "p", "x", "u", "t", "n", "z", "i", "f", "s", ".", "\\", "]", "[", "Space", "Esc"])
    assert.ok(listed.includes(key), key);
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
