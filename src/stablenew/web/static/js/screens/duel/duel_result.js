// The result of a duel: who is better, how sure that is, and what it rests on.

import { plural } from "../../data/format.js";
import { settingTitle } from "../../data/images/image_facts.js";
import { buildTable, h, link, rowHead } from "../../parts/dom.js";

/** A place on a bar. */
const place = (share) => `${100 * share}%`;
const percent = (share) => `${Math.round(100 * share)} %`;
const interval = ({ low, high }) => `${Math.round(100 * low)}–${Math.round(100 * high)} %`;

/** The result as an element. `onGoOn` goes on voting; null where that cannot be. */
export function buildResult(report, { isUsedUp = false, onGoOn = null } = {}) {
  const order = report.sides.map((_, side) => side);
  const strength = (side) => report.sides[side].strength?.estimate ?? 0;
  order.sort((a, b) => strength(b) - strength(a));
  return h(
    "div.page.duel-result",
    h("h1", headline(report)),
    h("p", explain(report, isUsedUp)),
    h(
      "div.actions",
      onGoOn ? h("button.primary", { click: onGoOn }, report.vote_count ? "Keep voting" : "Start voting") : null,
      link("/duel", "Another duel"),
    ),
    report.vote_count ? h("h2", `${settingTitle(report.by)}, by how often it wins`) : null,
    report.vote_count
      ? h(
          "ol.strengths",
          order.map((side) => buildSide(report.sides[side])),
        )
      : null,
    report.vote_count ? buildPairs(report) : null,
    report.vote_count ? h("ul.checks.soft", listChecks(report)) : null,
  );
}

function headline({ verdict, winner, vote_count: count }) {
  if (verdict === "winner") return `${winner} is better`;
  if (verdict === "no_difference") return "No difference that matters";
  return count ? "Not decided yet" : "No votes yet";
}

function explain({ verdict, matters, error, counted_votes: counted, progress, vote_count: count }, isUsedUp) {
  const votes = plural(counted, "vote");
  if (verdict === "winner")
    return `After ${votes}. However often you look, this is wrong with at most ${percent(error)}.`;
  if (verdict === "no_difference") return `After ${votes}: no win rate is ${percent(matters)} or more away from even.`;
  if (isUsedUp) return `All pairs were voted on: ${votes}, ${percent(progress)} of the evidence needed for a verdict.`;
  return count ? `${votes} so far: ${percent(progress)} of the evidence needed for a verdict.` : "";
}

function buildSide({ value, strength, vote_count: count, image_count: images }) {
  const { estimate, low, high } = strength;
  return h(
    "li",
    h("b", value),
    h(
      "span.strength-bar",
      { "aria-hidden": "true" },
      h("span.reach", { style: { left: place(low), right: place(1 - high) } }),
      h("span.mark", { style: { left: place(estimate) } }),
    ),
    h("span.number", `${percent(estimate)} (${interval(strength)})`),
    h("span.soft", `${plural(count, "vote")}, ${plural(images, "image")}`),
  );
}

const VERDICTS = { equal: "no difference that matters", open: "open" };

function buildPairs({ pairs }) {
  const numbers = ["Won", "Lost", "Ties", "Both bad", "Win rate"].map((title) => [title, "number"]);
  const voted = pairs.filter((pair) => pair.wins + pair.losses + pair.ties + pair.both_bad);
  const verdict = (pair) =>
    VERDICTS[pair.verdict] ?? `${pair[pair.verdict]} is better, after ${plural(pair.decided_after, "vote")}`;
  const rows = voted.map((pair) => [
    rowHead(`${pair.first} against ${pair.second}`),
    ...[pair.wins, pair.losses, pair.ties, pair.both_bad].map((count) => h("td.number", count)),
    h("td.number", pair.win_rate.trials ? `${percent(pair.win_rate.estimate)} (${interval(pair.win_rate)})` : ""),
    verdict(pair),
  ]);
  const region = { tabindex: 0, role: "region", "aria-label": "Each two sides" };
  return h("div.table-scroll.numbers", region, buildTable(["", ...numbers, "Verdict"], rows));
}

function listChecks({ agreement, left_rate: left, second_votes: again }) {
  const lines = [];
  if (agreement.trials)
    lines.push(
      `Shown a second time: the same answer in ${percent(agreement.estimate)} of ${plural(agreement.trials, "case")}.`,
    );
  if (left.trials) lines.push(`The picture on the left won ${percent(left.estimate)} of the time (${interval(left)}).`);
  if (again) lines.push(`${plural(again, "vote")} on pictures that were compared before; they are not in the result.`);
  return lines.map((line) => h("li", line));
}
