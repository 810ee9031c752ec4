// What one setting does to the stars: a line with its band for a number, a dot with its interval for each word.

import { settingTitle } from "../../data/images/image_facts.js";
import { h, svg } from "../dom.js";

const WIDTH = 320;
const HEIGHT = 120;
const MARGIN = { left: 8, right: 8, top: 8, bottom: 8 };

/** A setting as people call it: `txt2img.cfg_scale` is "CFG scale". */
export function nameSetting(dotted) {
  const [stage, ...rest] = dotted.split(".");
  const name = rest.join(".") || stage;
  const words = settingTitle(name);
  return stage === "txt2img" || stage === "settings" || !rest.length ? words : `${words} (${stage})`;
}

export const showSettingValue = (value) =>
  typeof value === "number" ? String(Number(value.toFixed(3))) : value === null ? "not known" : String(value);

const showStars = (stars) => `${stars < 0 ? "−" : "+"}${Math.abs(stars).toFixed(2)}`;

/**
 * A figure of one setting.
 * @param {{setting: string, effect: number, points: {value: any, estimate: number, low: number, high: number}[]}} curve
 * @param {number} most stars that the height stands for, up and down
 */
export function buildCurve({ setting, effect, points }, most) {
  const best = points.reduce((found, point) => (point.estimate > found.estimate ? point : found));
  const isNumber = points.every(({ value }) => typeof value === "number") && points.length > 2;
  const words = `${nameSetting(setting)}: best at ${showSettingValue(best.value)}, ${showStars(best.estimate)} stars`;
  return h(
    "figure.curve",
    h("figcaption", h("strong", nameSetting(setting)), ` ${effect.toFixed(2)} stars from worst to best`),
    isNumber ? drawLine(points, most, words) : null,
    isNumber
      ? h(
          "p.ends.soft",
          h("span", showSettingValue(points[0].value)),
          h("span", `best ${showSettingValue(best.value)}`),
          h("span", showSettingValue(points[points.length - 1].value)),
        )
      : buildWords(points, most),
  );
}

function drawLine(points, most, words) {
  const x = (index) => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * index) / (points.length - 1);
  const y = (stars) => {
    const middle = (HEIGHT - MARGIN.top - MARGIN.bottom) / 2;
    return MARGIN.top + middle - (middle * stars) / (most || 1);
  };
  const path = (read, list) => list.map(([point, index]) => `${x(index).toFixed(1)},${y(read(point)).toFixed(1)}`);
  const numbered = points.map((point, index) => [point, index]);
  const band = [...path(({ high }) => high, numbered), ...path(({ low }) => low, [...numbered].reverse())];
  const zero = y(0).toFixed(1);
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words, class: "curve-line" },
    svg("polygon", { points: band.join(" "), class: "band" }),
    svg("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: zero, y2: zero, class: "zero" }),
    svg("polyline", { points: path(({ estimate }) => estimate, numbered).join(" "), class: "line" }),
  );
}

function buildWords(points, most) {
  const place = (stars) => `${50 + (50 * stars) / (most || 1)}%`;
  return h(
    "table.curve-words",
    h(
      "tbody",
      [...points]
        .sort((first, second) => second.estimate - first.estimate)
        .map(({ value, estimate, low, high }) =>
          h(
            "tr",
            h("th", { scope: "row" }, showSettingValue(value)),
            h("td.number", showStars(estimate)),
            h(
              "td.interval",
              h("span.range", { style: { left: place(low), width: `${(50 * (high - low)) / (most || 1)}%` } }),
              h("span.dot", { style: { left: place(estimate) } }),
            ),
          ),
        ),
    ),
  );
}
