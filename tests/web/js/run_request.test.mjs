import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { buildRunRequest, completeList } = await load("data/run_request.js");

const SETTINGS = ["txt2img.steps", "txt2img.cfg_scale", "txt2img.sampler"];
const OTHERS = ["url", "size", "seed", "limit", "tags", "engine", "mode", "randomize"];
const EMPTY = Object.fromEntries([...SETTINGS, ...OTHERS].map((name) => [name, ""]));
const build = (texts, source = { pack: "heroes" }, rows = []) => buildRunRequest({ ...EMPTY, ...texts }, rows, source);

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

test("fields become settings after those that were added", () => {
  const texts = {
    "txt2img.steps": " 30 ",
    "txt2img.cfg_scale": "6.5",
    "txt2img.sampler": "Euler a",
    size: "512 × 768",
  };
  const rows = [
    ["upscale.factor", "2"],
    ["", "forgotten"],
    ["txt2img.eta", " "],
  ];
  assert.deepEqual(build(texts, { pack: "heroes" }, rows).settings, [
    "upscale.factor=2",
    "txt2img.steps=30",
    "txt2img.cfg_scale=6.5",
    "txt2img.sampler=Euler a",
    "txt2img.width=512",
    "txt2img.height=768",
  ]);
});

test("several values of a setting are a sweep, and commas within JSON are not several values", () => {
  const rows = [
    ["txt2img.clip_skip", "1,2"],
    ["txt2img.extra.workflow", '{"1": 1, "2": 2}'],
  ];
  const request = build({ "txt2img.cfg_scale": "5, 7", seed: "1,2" }, { pack: "heroes" }, rows);
  assert.deepEqual(request.sweeps, ["txt2img.clip_skip=1,2", "txt2img.cfg_scale=5, 7", "txt2img.seed=1,2"]);
  assert.deepEqual(request.settings, ['txt2img.extra.workflow={"1": 1, "2": 2}']);
  assert.equal(request.seed, null);
});

test("after a comma a list goes on with its names", () => {
  assert.deepEqual(completeList("Eul", ["Euler", "DDIM"]), ["Euler", "DDIM"]);
  assert.deepEqual(completeList("Heun, Eul", ["Euler", "DDIM"]), ["Heun, Euler", "Heun, DDIM"]);
});

test("a size may be written with x or ×, and nothing else", () => {
  assert.deepEqual(build({ size: "64x128" }).settings, ["txt2img.width=64", "txt2img.height=128"]);
  for (const size of ["512", "512*512", "x512", "512x"])
    assert.throws(() => build({ size }), { message: "expected one size, such as 512x768" }, size);
});

test("limit and seed are whole numbers, and zero is one", () => {
  assert.deepEqual([build({ limit: " 20 " }).limit, build({ seed: "0" }).seed], [20, 0]);
  assert.throws(() => build({ limit: "1.5" }), { message: "expected a whole number as limit" });
  assert.throws(() => build({ seed: "-1" }), { message: "expected a whole number as seed" });
});

test("lines and tags are trimmed, and empty ones left out", () => {
  const request = build({ randomize: " time: dawn | noon \n\n", tags: "a, ,b," });
  assert.deepEqual(request.randomize, ["time: dawn | noon"]);
  assert.deepEqual(request.tags, ["a", "b"]);
});
