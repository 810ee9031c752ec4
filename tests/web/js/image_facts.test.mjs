import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const facts = await load("data/images/image_facts.js");

const ROW = {
  prompt: "a lighthouse, soft light",
  negative: "lowres",
  created_at: "2026-11-28T10:00:00Z",
  media_type: "image/webp",
  width: 832,
  height: 1216,
  settings: { cfg_scale: 5.5, sampler: "DPM++ 2M", seed: 42, steps: 28, model: "aurora", guidance_rescale: 0.7 },
};

const marked = (text, before) =>
  facts
    .markDifferences(text, before)
    .map((part) => (part.isNew ? `[${part.text}]` : part.text))
    .join("");

test("settings have the names that people use, in a fixed order", () => {
  assert.deepEqual(facts.listSettings(ROW), [
    ["model", "Checkpoint", "aurora"],
    ["sampler", "Sampler", "DPM++ 2M"],
    ["steps", "Steps", "28"],
    ["cfg_scale", "CFG scale", "5.5"],
    ["seed", "Seed", "42"],
    ["size", "Size", "832 × 1216"],
    ["guidance_rescale", "Guidance rescale", "0.7"],
  ]);
});

test("settings of a part that was switched off are left out", () => {
  const settings = {
    enable_hr: "false",
    hr_scale: 2,
    hr_upscaler: "Latent",
    subseed: -1,
    subseed_strength: 0,
    n_iter: 1,
  };
  assert.deepEqual(facts.listSettings({ settings }), []);
  const names = facts.listSettings({ settings: { ...settings, enable_hr: true } }).map(([name]) => name);
  assert.deepEqual(names, ["hr_scale", "hr_upscaler", "enable_hr"]);
});

test("words that are not in the prompt before are marked", () => {
  assert.equal(
    marked("a lighthouse at dawn, soft light", "a harbour at dawn, soft light"),
    "a [lighthouse] at dawn, soft light",
  );
  assert.equal(marked("one two three", "one three"), "one [two] three");
  assert.equal(marked("same", "same"), "same");
  assert.equal(marked("all new words", ""), "[all new words]");
});

test("without a prompt before nothing is marked, and no letter is lost", () => {
  assert.equal(marked("a  b,c\nd", null), "a  b,c\nd");
  const parts = facts.markDifferences(" x  y, z ", "y");
  assert.equal(parts.map(({ text }) => text).join(""), " x  y, z ");
});

test("what differs from an image beside it is named", () => {
  const other = { ...ROW, width: 1024, settings: { ...ROW.settings, cfg_scale: 7, eta: 1 } };
  assert.deepEqual([...facts.differingSettings(ROW, [undefined, other, { isGone: true }])].sort(), [
    "cfg_scale",
    "eta",
    "size",
  ]);
  assert.equal(facts.differingSettings(ROW, [ROW]).size, 0);
});

test("a checkpoint that another program spells otherwise does not differ", () => {
  const other = { ...ROW, settings: { ...ROW.settings, model: "SDXL/aurora.safetensors" } };
  assert.deepEqual([...facts.differingSettings(ROW, [other])], ["model"]);
  assert.equal(facts.differingSettings(ROW, [{ ...other, common_names: { model: "aurora" } }]).size, 0);
});

test("infotext is in the form that other programs read", () => {
  assert.equal(
    facts.buildInfotext(ROW),
    "a lighthouse, soft light\nNegative prompt: lowres\nSteps: 28, Sampler: DPM++ 2M, CFG scale: 5.5, Seed: 42, " +
      "Size: 832x1216, Model: aurora, Guidance rescale: 0.7",
  );
});

test("a copy of the file is named after day, seed and prompt", () => {
  assert.equal(facts.fileName(ROW), "20261128-42-a-lighthouse-soft-light.webp");
  assert.equal(facts.fileName({ media_type: "image/png" }), "image.png");
});
