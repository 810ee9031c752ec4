// Two settings together: a table of means, coloured by stars, strong where many images are behind them.

import { buildSelect, buildTable, fill, h, link, rowHead } from "./dom.js";
import { formatCount } from "../data/format.js";
import { nameSetting } from "./settings/setting_curve.js";

const FAINTEST = 8;
const STRONGEST = 38;

/**
 * A section that shows one pair of settings, and lets another be chosen.
 * @param {any[]} pairs as `Datasets.insights` has them
 * @param {(value: any) => any} showValue the name of a value, perhaps with a link to its jobs
 */
export function buildPairs(pairs, showValue) {
  if (!pairs.length) return null;
  const names = [...new Set(pairs.flatMap((pair) => [pair.setting, pair.against]))];
  const map = h("div.sideways");
  const show = () => fill(map, buildMap(pairs, down.value, across.value, showValue));
  const choose = (id, chosen, other) =>
    buildSelect(
      names.map((name) => [name, nameSetting(name)]),
      chosen,
      (value) => {
        if (down.value === across.value) other().value = names.find((name) => name !== value);
        show();
      },
      { id },
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
  const rows = values.map((value, row) => [
    rowHead(showValue(value)),
    ...others.map((other, column) => buildCell(found.get(`${row} ${column}`), most, [value, other])),
  ]);
  const table = buildTable(["", ...others.map(showValue)], rows);
  table.className = "heat";
  return table;
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
    both.every(({ query }) => query) ? link(findJobs(both.map(({ query }) => query).join(" ")), mean) : mean,
    h("small", formatCount(cell.image_count)),
  );
}

/** Where the rated jobs are that a query finds. */
export const findJobs = (query) => `/?q=${encodeURIComponent(query + " rating:>=0")}`;
