// What a run's page shows beside its images: facts, feedback, neighbours, the verdict of a verification.

import { runUrl } from "../data/api.js";
import { formatBytes, formatLongTime, plural } from "../data/format.js";
import { buildDefinitions, buildTable, h, link } from "./dom.js";
import { formatSetting } from "../data/images/image_facts.js";
import { nameSetting } from "./settings/setting_curve.js";
import { starText } from "./stars.js";

const MAX_EVENTS = 200;
const MAX_NEIGHBOURS = 12;

export function buildFacts(run) {
  const source = run.metadata?.source ?? {};
  const pairs = [
    ["Run", run.run_id],
    ["Folder", run.path],
    ["Engine", [source.engine, source.engine_version].filter(Boolean).join(" ")],
    ["Recorded by", [source.name, source.version, source.host_id].filter(Boolean).join(" · ")],
    ["Action", run.one_click_action],
    ["Tags", (run.metadata?.learning_tags ?? []).join(", ")],
    ["Error", run.metadata?.error?.message],
    ["Digest", run.digest],
  ];
  return h("div.panel", buildDefinitions("pairs", pairs), run.metadata ? buildConfig(run.metadata.config) : null);
}

/**
 * The command that runs a run again: with its own engine, at its own address.
 * @param {{run_id: string, metadata?: {source?: {engine?: string, engine_url?: string}}}} run
 */
export function buildAgainCommand({ run_id: runId, metadata }) {
  const { engine, engine_url: url } = metadata?.source ?? {};
  const options = Object.entries({ engine, url }).filter(([, value]) => value);
  const named = options.map(([name, value]) => ` --${name} ${quote(value)}`);
  return `stablenew run --again ${runId}${named.join("")} --record`;
}

/** A word as a shell takes it for one. */
const quote = (word) => (/^[\w.:/@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const buildConfig = (config) =>
  h(
    "details",
    h("summary", "The whole config as it was before the run"),
    h("pre", h("code", JSON.stringify(config, null, 2))),
  );

/**
 * All feedback on a run, the latest first.
 * @param {{events: any[], problems: string[]}} feedback
 * @param {(digest: string) => string} nameImage
 */
export function buildFeedback({ events, problems }, nameImage) {
  const rows = [...events].reverse().slice(0, MAX_EVENTS);
  return [
    rows.length ? buildEventTable(rows, nameImage) : h("p.hint", "No opinions yet."),
    problems.map((problem) => h("p.bad", problem)),
  ];
}

function buildEventTable(events, nameImage) {
  const rows = events.map((event) => [
    formatLongTime(timeOf(event)),
    event.rater,
    event.image_id ? nameImage(event.image_id) : "the run",
    describeEvent(event),
  ]);
  const table = buildTable(["When", "Who", "About", "What"], rows);
  table.prepend(h("caption.sr-only", "Opinions, the latest first"));
  return table;
}

/** When an event was recorded: the beginning of its clock. Null when that has no time. */
export const timeOf = (event) => /^[0-9-]+T[0-9:.]+Z/.exec(event.clock)?.[0] ?? null;

/** What an event of feedback did, in words. */
export function describeEvent(event) {
  switch (event.op) {
    case "rate":
      return event.rating === null
        ? "rating removed"
        : starText(event.rating) + (event.aspect ? ` for ${event.aspect}` : "");
    case "tag":
      return event.present ? `tag ${event.tag}` : `tag ${event.tag} removed`;
    case "note":
      return event.text ? `“${event.text}”` : "note removed";
    case "flag":
      return { pick: "picked", reject: "rejected" }[event.flag] ?? "flag removed";
    case "trash":
      return event.present ? "moved to the trash" : "restored from the trash";
    case "retract":
      return "undone";
    case "prefer":
      return "compared two images";
    default:
      return event.op;
  }
}

/** Runs that differ from this one in a single setting. */
export function buildNeighbours(neighbours) {
  const rows = neighbours
    .slice(0, MAX_NEIGHBOURS)
    .map(({ setting, value, other_value: other, other_run_id: runId }) => [
      nameSetting(setting),
      formatSetting(value),
      formatSetting(other),
      link(runUrl(runId), runId),
    ]);
  return [h("h2", "Differs in one setting"), h("div.panel", buildTable(["Setting", "Here", "There", "Run"], rows))];
}

/** Whether the images of a run are those of the run that it repeats, and what changed. */
export function buildReproduction(found) {
  const counts = Object.entries(found.counts).map(([verdict, count]) => `${count} ${verdict}`);
  const others = found.images.filter((image) => image.verdict !== "identical").slice(0, MAX_NEIGHBOURS);
  return [
    h("h2", "Compared with the run it repeats"),
    h(
      "div.panel",
      h(
        "p",
        h("span", { class: found.is_exact ? "ok" : "bad" }, counts.join(", ") || "no images to compare"),
        " with ",
        link(runUrl(found.parent_run_id), found.parent_run_id),
        `: ${found.conclusion}`,
      ),
      others.map((image) => h("p.soft", describeComparison(image))),
      found.changes.map((change) => h("p", `Changed: ${change.text}`)),
      found.unknown.map((reason) => h("p.hint", `Not known: ${reason}`)),
    ),
  ];
}

/** How one image compares with the one before it. */
export function describeComparison({ variant, stage, number, verdict, difference }) {
  const figures = difference
    ? `, ${difference.mean.toFixed(2)} of 255 apart in the mean, ${difference.largest} at most`
    : "";
  return `Variant ${variant}, ${stage} ${number}: ${verdict}${figures}`;
}

/** What verifying a run found. */
export function buildVerdict(report) {
  const words = report.ok ? `✓ as recorded, verified at ${formatLongTime(report.verified_at)}` : "✗ not as recorded";
  return [
    h("span", { class: report.ok ? "ok" : "bad" }, words),
    h("span.soft", ` ${plural(report.files, "file")}, ${formatBytes(report.size_bytes)}`),
    report.findings.map(({ severity, code, path, message }) =>
      h("div", { class: `finding-${severity}` }, `${code} ${path}: ${message}`),
    ),
  ];
}
