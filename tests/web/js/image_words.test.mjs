import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { colourTags, shownTags } = await load("parts/image_words.js");
const { describeImage, describeSettings } = await load("parts/images/wall_cell.js");

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

test("the settings that tell images apart stand in one line", () => {
  const settings = { model: "aurora", sampler: "Euler a", steps: 20, cfg_scale: 7, seed: 1 };
  const row = { settings, width: 512, height: 768 };
  assert.equal(describeSettings(row), "aurora · Euler a · 20 steps · CFG 7 · seed 1 · 512 × 768");
});
