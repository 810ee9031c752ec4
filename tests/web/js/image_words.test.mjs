import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { colourTags, shownTags } = await load("parts/image_words.js");
const { describeImage } = await load("parts/images/wall_cell.js");

test("an image in words has its place, rating, flag and tags", () => {
  const opinion = { rating: 4, flag: "pick", tags: ["label:red", "sea"] };
  assert.equal(describeImage({ opinion, prompt: "a quay" }, 2), "Image 3, 4 stars, picked, label:red, sea, a quay");
});

test("zero stars is a rating, and no rating is none", () => {
  assert.equal(describeImage({ opinion: { rating: 0 } }, 0), "Image 1, 0 stars");
  assert.equal(describeImage({ opinion: {} }, 0), "Image 1, not rated");
  assert.equal(describeImage({ opinion: {}, others: { bob: { rating: 1 } } }, 0), "Image 1, others: 1 star");
});

test("an image that is gone or in the trash says so", () => {
  assert.equal(describeImage({ isGone: true, opinion: {} }, 0), "Image 1, removed");
  assert.equal(describeImage({ opinion: { trashed: true } }, 0), "Image 1, not rated, in the trash");
});

test("colours are no tags to people, under either name", () => {
  const image = { opinion: { tags: ["colour:red", "label:blue", "sea"] } };
  assert.deepEqual(shownTags(image), ["sea"]);
  assert.deepEqual(colourTags(image), ["colour:red", "label:blue"]);
});
