import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { buildRunRequest } = await load("data/run_request.js");

const FIELDS = ["url", "steps", "cfg", "sampler", "size", "seed", "limit", "tags"];
const OTHERS = ["engine", "mode", "more", "sweeps", "randomize"];
const EMPTY = Object.fromEntries([...FIELDS, ...OTHERS].map((name) => [name, ""]));
const build = (texts, source = { pack: "heroes" }) => buildRunRequest({ ...EMPTY, ...texts }, source);

test("an empty form asks for its source and leaves all else open", () => {
  assert.deepEqual(build({}), {
    pack: "heroes",
    engine: null,
    url: null,
    settings: [],
    sweeps: [],
    randomize: [],
    mode: null,
    limit: null,
    seed: null,
    tags: [],
  });
});

test("each source is passed on as it is", () => {
  assert.equal(build({}, { prompt: "a harbour\nneg: fog" }).prompt, "a harbour\nneg: fog");
  const { again, new_seeds: newSeeds } = build({}, { again: "run-1", new_seeds: true });
  assert.deepEqual([again, newSeeds], ["run-1", true]);
});

test("fields become settings after those that were typed as lines", () => {
  const texts = { more: "upscale.factor=2\n\n", steps: " 30 ", cfg: "6.5", sampler: "Euler a", size: "512 × 768" };
  assert.deepEqual(build(texts).settings, [
    "upscale.factor=2",
    "txt2img.steps=30",
    "txt2img.cfg_scale=6.5",
    "txt2img.sampler=Euler a",
    "txt2img.width=512",
    "txt2img.height=768",
  ]);
});

test("a size may be written with x or ×, and nothing else", () => {
  assert.deepEqual(build({ size: "64x128" }).settings, ["txt2img.width=64", "txt2img.height=128"]);
  for (const size of ["512", "512*512", "x512", "512x"])
    assert.throws(() => build({ size }), { message: "expected a size such as 512x768" }, size);
});

test("limit and seed are whole numbers, and zero is one", () => {
  assert.deepEqual([build({ limit: " 20 " }).limit, build({ seed: "0" }).seed], [20, 0]);
  assert.throws(() => build({ limit: "1.5" }), { message: "expected a whole number as limit" });
  assert.throws(() => build({ seed: "-1" }), { message: "expected a whole number as seed" });
});

test("lines and tags are trimmed, and empty ones left out", () => {
  const request = build({ sweeps: " txt2img.cfg_scale=5,7 \n", randomize: "time: dawn | noon", tags: "a, ,b," });
  assert.deepEqual(request.sweeps, ["txt2img.cfg_scale=5,7"]);
  assert.deepEqual(request.randomize, ["time: dawn | noon"]);
  assert.deepEqual(request.tags, ["a", "b"]);
});
