// Two settings together, as the surface has them: stars above or below the average, coloured.

import { fill, h } from "../dom.js";
import { nameSetting, showSettingValue } from "./setting_curve.js";

const STRONGEST = 45;

/** A section with one pair of settings, and the choice of another. */
export function buildMaps(maps) {
  if (!maps.length) return null;
  const place = h("div", { class: "sideways" });
  const choice = h(
    "select",
    { id: "tune-map", change: () => show() },
    maps.map(({ setting, against }, index) =>
      h("option", { value: index }, `${nameSetting(setting)} and ${nameSetting(against)}`),
    ),
  );
  const show = () => fill(place, buildMap(maps[Number(choice.value)]));
  choice.value = "0";
  show();
  return h(
    "section",
    { "aria-label": "Two settings together", class: "setting" },
    h("h2", "Two settings together"),
    h("p.actions", h("label", { for: "tune-map" }, "Show"), choice),
    place,
  );
}

function buildMap({ values, others, stars }) {
  const most = Math.max(...stars.flat().map(Math.abs)) || 1;
  return h(
    "table.heat",
    h(
      "thead",
      h(
        "tr",
        h("td", {}),
        others.map((other) => h("th", { scope: "col" }, showSettingValue(other))),
      ),
    ),
    h(
      "tbody",
      values.map((value, row) =>
        h(
          "tr",
          h("th", { scope: "row" }, showSettingValue(value)),
          stars[row].map((star) => buildCell(star, most)),
        ),
      ),
    ),
  );
}

const buildCell = (star, most) =>
  h(
    "td",
    {
      class: star < 0 ? "heat-1" : "heat-5",
      style: { "--strength": `${Math.round((STRONGEST * Math.abs(star)) / most)}%` },
    },
    star.toFixed(2),
  );
