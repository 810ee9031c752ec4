import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { describe, describeOthers, flagText, shownTags } = await load("parts/image_words.js");

test("an image in words has its place, rating, flag, colour and tags", () => {
  const opinion = { rating: 4, flag: "pick", tags: ["colour:red", "sea"] };
  assert.equal(describe({ opinion }, 2), "Image 3, rated 4 of 5, pick, red, sea");
});

test("zero stars is a rating, and no rating is none", () => {
  assert.equal(describe({ opinion: { rating: 0 } }, 0), "Image 1, rated 0 of 5");
  assert.equal(describe({ opinion: {} }, 0), "Image 1, not rated");
});

test("an image that is gone says so", () => {
  assert.equal(describe({ isGone: true, opinion: {} }, 0), "Image 1, gone");
});

test("colours are no tags to people", () => {
  assert.deepEqual(shownTags({ opinion: { tags: ["colour:red", "sea"] } }), ["sea"]);
});

test("others are named with their stars, those who rated", () => {
  const others = { bob: { rating: 3 }, eve: { flag: "reject" }, kim: { rating: 0 } };
  assert.equal(describeOthers({ others }), "bob ★★★☆☆, kim ☆☆☆☆☆");
  assert.equal(describeOthers({}), "");
});

test("a flag has a mark and a word, no flag has neither", () => {
  assert.equal(flagText({ opinion: { flag: "reject" } }), "✗ reject");
  assert.equal(flagText({ opinion: {} }), "");
});
