import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { compareSettings, describeLabel, describeOutput, finalOutputs } = await load("parts/record_view.js");
const { describeEvent, timeOf } = await load("parts/run_details.js");

const compare = (requested, actual) => compareSettings({ requested, actual });

test("the result of a record are its final outputs, or all where none is marked", () => {
  const [draft, final] = [{ role: "intermediate" }, { role: "final" }];
  assert.deepEqual(finalOutputs({ outputs: [draft, final] }), [final]);
  assert.deepEqual(finalOutputs({ outputs: [draft] }), [draft]);
});

test("a setting differs where the engine applied another value", () => {
  assert.deepEqual(compare({ steps: 20, cfg_scale: 7 }, { steps: 25, cfg_scale: 7 }), [
    ["steps", "20", "25", true],
    ["cfg_scale", "7", "7", false],
  ]);
});

test("a seed left to the engine does not differ, any other seed does", () => {
  assert.equal(compare({ seed: -1 }, { seed: 42 })[0][3], false);
  assert.equal(compare({ seed: 7 }, { seed: 42 })[0][3], true);
});

test("a setting that only one of them has is shown, and does not differ", () => {
  assert.deepEqual(compare({ steps: null, width: 512 }, { steps: 20 }), [
    ["steps", "", "20", false],
    ["width", "512", "", false],
  ]);
});

test("settings that neither has are left out, and a record may have no actual ones", () => {
  assert.deepEqual(compare({ vae: null, steps: 20 }, null), [["steps", "20", "", false]]);
});

test("structured settings are compared by what they hold, zero and false are values", () => {
  assert.deepEqual(compare({ loras: [{ name: "a" }], eta: 0, tiling: false }, { loras: [{ name: "a" }], eta: 0.5 }), [
    ["loras", '[{"name":"a"}]', '[{"name":"a"}]', false],
    ["eta", "0", "0.5", true],
    ["tiling", "off", "", false],
  ]);
});

test("an output is described by what is known of it", () => {
  assert.equal(describeOutput({ width: 512, height: 768, size_bytes: 2000, seed: 0 }), "512 × 768 · 2.0 kB · seed 0");
  assert.equal(describeOutput({ size_bytes: 10 }), "10 bytes");
});

test("every kind of feedback has words, unknown ones their name", () => {
  const words = [
    [{ op: "rate", rating: 4 }, "★★★★☆"],
    [{ op: "rate", rating: 0, aspect: "hands" }, "☆☆☆☆☆ for hands"],
    [{ op: "rate", rating: null }, "rating removed"],
    [{ op: "tag", tag: "sea", present: true }, "tag sea"],
    [{ op: "tag", tag: "sea", present: false }, "tag sea removed"],
    [{ op: "note", text: "too dark" }, "“too dark”"],
    [{ op: "note", text: "" }, "note removed"],
    [{ op: "flag", flag: "pick" }, "picked"],
    [{ op: "flag", flag: null }, "flag removed"],
    [{ op: "retract" }, "undone"],
    [{ op: "prefer" }, "compared two images"],
    [{ op: "trash", present: true }, "moved to the trash"],
    [{ op: "newer" }, "newer"],
  ];
  for (const [event, expected] of words) assert.equal(describeEvent(event), expected);
});

test("the time of an event is the beginning of its clock", () => {
  assert.equal(timeOf({ clock: "2026-11-28T10:00:00.123Z-0001-host" }), "2026-11-28T10:00:00.123Z");
  assert.equal(timeOf({ clock: "torn" }), null);
});

test("what a variant varies is named as people name it", () => {
  assert.equal(describeLabel("[time]=dawn; txt2img.cfg_scale=4"), "time dawn; CFG scale 4");
  assert.equal(describeLabel("img2img.denoising_strength=0.5"), "Denoising strength (img2img) 0.5");
  assert.equal(describeLabel("a cat = a dog"), "a cat = a dog");
});
