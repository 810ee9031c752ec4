// The values there are, how many images or jobs have them, and a button for each that narrows the search down.

import { formatCount } from "../data/format.js";
import { settingTitle } from "../data/images/image_facts.js";
import { quoteValue } from "../data/query_text.js";
import { h } from "./dom.js";
import { STATUS_WORDS } from "./job_row.js";

const FIRST = ["rating", "flag"];
const LAST = ["album", "tag", "pack", "stage", "engine", "source", "status", "type"];
/** Facets that the rail has no section for; `unrated` stands with the stars. */
const HIDDEN = ["label", "lora", "orientation", "unrated"];
/** Facets that are called otherwise than settings of their name. */
const FACET_TITLES = { cfg: "CFG scale", pack: "Prompt pack", type: "File type" };
const FLAG_WORDS = { pick: "Picked", reject: "Rejected" };
/** Facets that say nothing when everything has the same value. */
const ONLY_WITH_CHOICE = ["status", "stage", "engine", "source", "type"];

/** @typedef {{value: any, count?: number, job_count?: number}} FacetValue */

/**
 * A section for each facet that has values. `chosen` holds the conditions that are in force.
 * @param {Record<string, FacetValue[]>} facets
 * @param {Set<string>} chosen
 * @param {(field: string, value: any) => void} onToggle
 */
export function buildFacets(facets, chosen, onToggle) {
  return listFields(facets).map((field) => buildFacet(field, valuesOf(facets, field), chosen, onToggle));
}

/** The facets in the order they are shown: all that are not named here are settings, in the server's order. */
export function listFields(facets) {
  const settings = Object.keys(facets).filter((field) => ![...FIRST, ...LAST, ...HIDDEN].includes(field));
  return [...FIRST, ...settings, ...LAST];
}

/** The values of a facet as [field, value, count], in the order they are shown. */
function valuesOf(facets, field) {
  const values = (facets[field] ?? []).filter(({ value }) => field !== "tag" || !/^(album|label|colour):/.test(value));
  if (field === "rating") values.sort((a, b) => b.value - a.value);
  if (field === "cfg" || field === "steps") values.sort((a, b) => a.value - b.value);
  const lines = values.map((item) => [field, item.value, item.count ?? item.job_count]);
  if (field === "flag") return lines.filter(([, , count]) => count);
  if (field === "rating")
    return [...lines, ...(facets.unrated ?? []).map((item) => ["unrated", item.value, item.count])];
  return lines;
}

function buildFacet(field, lines, chosen, onToggle) {
  const isChosen = lines.some(([name, value]) => chosen.has(conditionOf(name, value)));
  if (!lines.length || (ONLY_WITH_CHOICE.includes(field) && lines.length < 2 && !isChosen)) return null;
  return h(
    "section.facet",
    h("h2", FACET_TITLES[field] ?? settingTitle(field)),
    h(
      "ul",
      lines.map(([name, value, count]) => h("li", buildValue(name, value, count, chosen, onToggle))),
    ),
  );
}

const conditionOf = (field, value) => `${field}:${quoteValue(String(value))}`;

function buildValue(field, value, count, chosen, onToggle) {
  return h(
    "button",
    { "aria-pressed": String(chosen.has(conditionOf(field, value))), click: () => onToggle(field, value) },
    h(
      "span",
      { class: field === "rating" ? "value stars-value" : "value", title: String(value) },
      describe(field, value),
    ),
    h("span.count", formatCount(count)),
  );
}

function describe(field, value) {
  if (field === "rating") return "★".repeat(value) || "0 stars";
  if (field === "unrated") return "Unrated";
  if (field === "flag") return FLAG_WORDS[value] ?? value;
  return (field === "status" && STATUS_WORDS[value]) || String(value);
}
