// Insights: what the ratings say about settings, how sure that is, and what speaks against believing it.

import { buildTable, fill, h, link, rowHead } from "../parts/dom.js";
import { formatCount, plural } from "../data/format.js";
import { nameSetting } from "../parts/settings/setting_curve.js";
import { buildPairs, findJobs } from "../parts/heat_map.js";
import { live } from "../data/live.js";
import { LearningTask } from "../parts/settings/learning_task.js";

/** The mean of fewer says little. */
const FEW_IMAGES = 10;
const MAX_STARS = 5;
const MOST_WARNINGS = 3;

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new InsightsScreen(root, app, search.get("q") ?? "");

class InsightsScreen {
  constructor(root, app, query) {
    this.root = root;
    this.app = app;
    this.query = query;
    this.wasLost = false;
    this.task = new LearningTask({
      kind: `insights ${query}`,
      address: "/api/insights",
      parameters: { query },
      waiting: "Looking for runs that changed…",
      count: (found) => plural(found.rated_image_count, "rated image"),
      build: buildInsights,
    });
    this.unsubscribe = [
      live.on("lost", () => {
        this.wasLost = true;
      }),
      live.on("hello", () => this.reloadAfterLoss()),
    ];
  }

  close() {
    this.task.close();
    this.unsubscribe.forEach((end) => end());
  }

  /** A server that went away took what it was reading with it. */
  reloadAfterLoss() {
    if (!this.wasLost) return;
    this.wasLost = false;
    this.load();
  }

  async load() {
    this.build();
    await this.task.ask();
  }

  build() {
    const field = h("input", {
      type: "search",
      id: "insights-query",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "all; or model:dream* since:30d",
      value: this.query,
    });
    fill(
      this.root,
      h(
        "div.page",
        h("h1", "Insights"),
        h(
          "form.actions",
          { role: "search", submit: (event) => this.submit(event, field.value.trim()) },
          h("label", { for: "insights-query" }, "Runs"),
          field,
          h("button", { type: "submit" }, "Show"),
        ),
        this.task.elements,
      ),
    );
  }

  submit(event, query) {
    event.preventDefault();
    this.app.go(query ? `/insights?q=${encodeURIComponent(query)}` : "/insights");
  }
}

function buildInsights({ rated_image_count: count, settings, pairs }) {
  if (!count) {
    return h("p", "No image of these runs is rated yet. ", link("/", "Rate them on the wall"), " to learn from them.");
  }
  if (!settings.length) {
    return h("p", "All rated images have the same settings. Sweep one on purpose: ", link("/new", "New run"), ".");
  }
  return [buildLegend(), settings.map(buildSetting), buildPairs(pairs, showValue)];
}

function buildLegend() {
  return h(
    "p.legend",
    "Images by stars: ",
    [0, 1, 2, 3, 4, 5].map((stars) => [
      h("span", { class: `swatch stars-${stars}`, "aria-hidden": "true" }),
      ` ${stars} `,
    ]),
    " and where the mean lies with 95 % confidence. Means are of all images with a value, whatever else they differ in.",
  );
}

function buildSetting(insight) {
  return h(
    "section.setting",
    { "aria-label": nameSetting(insight.setting) },
    h("h2", nameSetting(insight.setting)),
    insight.warnings.filter((warning) => !isOfValue(warning)).map((warning) => h("p.warning", inPeoplesWords(warning))),
    buildValues(insight),
    buildComparisons(insight),
    buildPreferences(insight),
    insight.agreement === null
      ? null
      : h("p.hint", `Raters agree ${insight.agreement.toFixed(2)}, where 1 is always and 0 is no more than random.`),
  );
}

/** Whether a warning is about one value, and stands beside it. */
const isOfValue = (warning) => warning.startsWith("fewer than") || warning.includes(" was only ever used ");

const inPeoplesWords = (text) => text.replace(/\b[a-z0-9]+\.[a-z_]+\b/gi, nameSetting);

/** What to know before one trusts the mean of a value. */
function warnOf({ setting, warnings }, { value, image_count: count }) {
  const about = `${setting} ${nameOf(value)} was `;
  const found = warnings.filter((warning) => warning.startsWith(about));
  const shorts = found.map((warning) =>
    inPeoplesWords(
      warning
        .slice(about.length)
        .split(":")[0]
        .replace(/.*used /, ""),
    ),
  );
  return [
    count < FEW_IMAGES ? h("span.warning", "Few images") : null,
    shorts.length ? h("span.warning", { title: found.join("\n") }, shorten(shorts)) : null,
  ].filter(Boolean);
}

/** The first of many; those that are only not known are counted. */
function shorten(texts) {
  const named = texts.filter((text) => !text.endsWith("unknown")).map((text) => text.replace(/^with /, ""));
  const shown = named.slice(0, MOST_WARNINGS);
  const more = texts.length - shown.length;
  if (!shown.length) return `${plural(more, "other setting")} never varied`;
  const others = more ? `, and ${more} more that never varied` : "";
  return `Always with ${shown.join(", ")}${others}`;
}

function buildValues(insight) {
  const rows = insight.values.flatMap((value) => {
    const warnings = warnOf(insight, value);
    const cells = buildCells(value);
    return warnings.length ? [cells, [h("td.warnings", { colspan: cells.length }, warnings)]] : [cells];
  });
  const more = insight.value_count - insight.values.length;
  return [
    buildTable(["Value", ["Images", "number"], "Stars", ["Mean, from 0 to 5", "wide-only"], ["95 %", "number"]], rows),
    more > 0 ? h("p.hint", `and ${plural(more, "more value")}`) : null,
  ];
}

function buildCells(value) {
  return [
    rowHead(showValue(value)),
    h("td.number", formatCount(value.image_count)),
    buildStars(value.stars),
    h("td.wide-only", buildMean(value.mean)),
    h("td.number", showInterval(value.mean)),
  ];
}

const showValue = ({ value, query }) => (query ? link(findJobs(query), nameOf(value)) : nameOf(value));

function nameOf(value) {
  if (value === null) return "unknown";
  return Array.isArray(value) ? value.map(nameOf).join(" + ") : String(value);
}

/** A bar of its own length for all; its parts say how many images have how many stars. */
function buildStars(counts) {
  const words = counts.map((count, stars) => `${stars} stars: ${formatCount(count)}`).join(", ");
  const parts = counts.map((count, stars) =>
    count ? h("span", { class: `stars-${stars}`, style: { "flex-grow": count } }) : null,
  );
  return h("div.stacked", { role: "img", "aria-label": words, title: words }, parts);
}

/** Where a mean lies from 0 to 5. */
function buildMean({ estimate, low, high }) {
  const place = (stars) => `${(100 * stars) / MAX_STARS}%`;
  return h(
    "div.mean",
    { "aria-hidden": "true" },
    h("span.range", { style: { left: place(low), width: place(high - low) } }),
    h("span.dot", { style: { left: place(estimate) } }),
  );
}

const showInterval = ({ estimate, low, high }) => `${estimate.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;

const showConfidence = (part) => (part < 0.995 ? `${Math.round(100 * part)} %` : "over 99 %");

function buildComparisons(insight) {
  if (!insight.comparisons.length) return null;
  const rows = insight.comparisons.map(({ value, other, kind, difference, is_of_few_prompts: isOfFew }) => [
    rowHead(`${nameOf(value)} over ${nameOf(other)}`),
    isOfFew ? `${kind}, few prompts` : kind,
    h("td.number", `+${showInterval(difference.interval)}`),
    h("td.number", formatCount(difference.place_count)),
    h("td.number", showConfidence(difference.confidence)),
  ]);
  const more = insight.comparison_count - insight.comparisons.length;
  return [
    h("h3", "Where all else was alike"),
    buildTable(["Better", "Kind", ["Stars", "number"], ["Places", "number"], ["Sure", "number"]], rows),
    more > 0 ? h("p.hint", `and ${plural(more, "more comparison")}`) : null,
  ];
}

function buildPreferences(insight) {
  if (!insight.preferences.length) return null;
  const share = (part) => `${Math.round(100 * part)} %`;
  const rows = insight.preferences.map(({ value, win_rate: rate, comparison_count: count }) => [
    rowHead(nameOf(value)),
    h("td.number", `${share(rate.estimate)} (${share(rate.low)} to ${share(rate.high)})`),
    h("td.number", formatCount(count)),
  ]);
  return [h("h3", "Preferred"), buildTable(["Value", ["How often", "number"], ["Comparisons", "number"]], rows)];
}
