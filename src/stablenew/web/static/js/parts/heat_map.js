// Two settings together: a table of means, coloured by stars, strong where many images are behind them.

import { fill, h } from "./dom.js";
import { formatCount } from "../data/format.js";
import { nameSetting } from "./settings/setting_curve.js";

const FAINTEST = 8;
const STRONGEST = 38;

/**
 * A section that shows one pair of settings, and lets another be chosen.
 * @param {any[]} pairs as `look_at_insights` tells them
 * @param {(value: any) => any} showValue the name of a value, perhaps with a link to its jobs
 */
export function buildPairs(pairs, showValue) {
  if (!pairs.length) return null;
  const names = [...new Set(pairs.flatMap((pair) => [pair.setting, pair.against]))];
  const map = h("div.sideways");
  const show = () => fill(map, buildMap(pairs, down.value, across.value, showValue));
  const choose = (id, chosen, other) =>
    h(
      "select",
      {
        id,
        change: ({ target }) => {
          if (down.value === across.value) other().value = names.find((name) => name !== target.value);
          show();
        },
      },
      names.map((name) => h("option", { value: name, selected: name === chosen }, nameSetting(name))),
    );
  const down = choose("pair-down", names[0], () => across);
  const across = choose("pair-across", names[1], () => down);
  show();
  return h(
    "section.setting",
    { "aria-label": "Two settings together" },
    h("h2", "Two settings together"),
    h(
      "p.actions",
      h("label", { for: "pair-down" }, "Down"),
      down,
      h("label", { for: "pair-across" }, "Across"),
      across,
    ),
    map,
    h(
      "p.hint",
      "Mean stars, and of how many images: the more there are, the stronger the colour. ",
      "Empty cells were never tried and rated.",
    ),
  );
}

function buildMap(pairs, down, across, showValue) {
  const pair = pairs.find((other) => other.setting === down && other.against === across);
  const { values, others, cells } =
    pair ?? transpose(pairs.find((other) => other.setting === across && other.against === down));
  const found = new Map(cells.map((cell) => [`${cell.value} ${cell.other}`, cell]));
  const most = Math.max(...cells.map((cell) => cell.image_count));
  return h(
    "table.heat",
    h("thead", h("tr", h("td"), ...others.map((other) => h("th", { scope: "col" }, showValue(other))))),
    h(
      "tbody",
      ...values.map((value, row) =>
        h(
          "tr",
          h("th", { scope: "row" }, showValue(value)),
          ...others.map((other, column) => buildCell(found.get(`${row} ${column}`), most, [value, other])),
        ),
      ),
    ),
  );
}

/** The same pair the other way round. */
const transpose = ({ values, others, cells }) => ({
  values: others,
  others: values,
  cells: cells.map((cell) => ({ ...cell, value: cell.other, other: cell.value })),
});

function buildCell(cell, most, both) {
  if (!cell) return h("td");
  const { estimate, low, high } = cell.mean;
  const strength = FAINTEST + (STRONGEST - FAINTEST) * Math.sqrt(cell.image_count / most);
  const mean = estimate.toFixed(2);
  return h(
    "td",
    {
      class: `heat-${Math.round(estimate)}`,
      style: { "--strength": `${strength}%` },
      title: `${mean} (${low.toFixed(2)} to ${high.toFixed(2)} with 95 % confidence)`,
    },
    both.every(({ query }) => query)
      ? h("a", { "data-link": true, href: findJobs(both.map(({ query }) => query).join(" ")) }, mean)
      : mean,
    h("small", formatCount(cell.image_count)),
  );
}

/** Where the rated jobs are that a query finds. */
export const findJobs = (query) => `/?q=${encodeURIComponent(query + " rating:>=0")}`;
