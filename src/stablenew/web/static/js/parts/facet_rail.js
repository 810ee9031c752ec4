// The values there are, how many jobs have them, and a button for each that narrows the search down.

import { h } from "./dom.js";
import { formatCount } from "../data/format.js";
import { quoteValue } from "../data/query_text.js";
import { STATUS_WORDS } from "./job_row.js";

const FACET_TITLES = {
  status: "Status",
  rating: "Stars",
  pack: "Pack",
  model: "Model",
  sampler: "Sampler",
  scheduler: "Scheduler",
  cfg: "CFG scale",
  steps: "Steps",
  tag: "Tag",
  engine: "Engine",
};

/**
 * A section for each facet that has values. `chosen` holds the conditions that are in force.
 * @param {Record<string, {value: any, job_count: number}[]>} facets
 * @param {Set<string>} chosen
 * @param {(field: string, value: any) => void} onToggle
 */
export function buildFacets(facets, chosen, onToggle) {
  return Object.entries(FACET_TITLES).map(([field, title]) =>
    buildFacet(field, title, [...(facets[field] ?? [])], chosen, onToggle),
  );
}

function buildFacet(field, title, values, chosen, onToggle) {
  if (field === "rating") values.sort((a, b) => b.value - a.value);
  if (!values.length) return null;
  return h(
    "section",
    { class: "facet" },
    h("h2", {}, title),
    h(
      "ul",
      {},
      values.map(({ value, job_count: count }) => {
        const isOn = chosen.has(`${field}:${quoteValue(String(value))}`);
        return h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              "aria-pressed": String(isOn),
              on: { click: () => onToggle(field, value) },
            },
            h(
              "span",
              { class: "value" },
              field === "rating"
                ? "★".repeat(value) || "0 stars"
                : STATUS_WORDS[value] && field === "status"
                  ? STATUS_WORDS[value]
                  : String(value),
            ),
            h("span", { class: "count" }, formatCount(count)),
          ),
        );
      }),
    ),
  );
}
