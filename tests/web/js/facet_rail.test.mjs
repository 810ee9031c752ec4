import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { listFields } = await load("parts/facet_rail.js");

test("stars stand first, then settings in the order of the server, then where images come from", () => {
  const facets = { status: [], pack: [], model: [], sampler: [], cfg: [], rating: [], tag: [], label: [], unrated: [] };
  const fields = listFields(facets);
  assert.deepEqual(fields.slice(0, 5), ["rating", "flag", "model", "sampler", "cfg"]);
  assert.ok(!fields.includes("label") && !fields.includes("unrated"));
});

test("a facet of a setting that the page has never heard of gets a section", () => {
  assert.ok(listFields({ eta: [] }).includes("eta"));
});
