// A reader and checker of StableNew run folders, version 1, written from ../../README.md alone.
import fs from "node:fs";
import path from "node:path";
import { byText, canonical, readDocument } from "./documents.mjs";
import { fold, sortEvents, standing } from "./feedback.mjs";
import { DOCUMENTS, GENERATED, RUN_ID, isFile, readRun, stat } from "./run.mjs";

export { canonical, fits, parseIJson, xxh128 } from "./documents.mjs";
export { fold, readFeedback, readScores } from "./feedback.mjs";
export { parseSeal, readRun } from "./run.mjs";

const INFO =
  "file-ignored run-copy run-link run-running output-removed output-unrecorded feedback-conflict-copy store-incomplete";
const WARNINGS = "newer-format run-incomplete record-torn feedback-torn feedback-ahead feedback-stale metrics-torn";

const severityOf = (code) =>
  INFO.split(" ").includes(code) ? "info" : WARNINGS.split(" ").includes(code) ? "warning" : "error";

/** All runs of a store by id, its images over all runs, and findings, in the form of the conformance suite. */
export function readStore(root) {
  const findings = [],
    runs = [];
  for (const entry of fs.readdirSync(root, { withFileTypes: true })) {
    const folder = path.join(root, entry.name);
    const holdsOne = DOCUMENTS.some((name) => isFile(path.join(folder, name)));
    if (entry.isDirectory() && (GENERATED.test(entry.name) || (RUN_ID.test(entry.name) && holdsOne)))
      runs.push(readRun(folder));
    else if (holdsOne && !entry.name.startsWith("."))
      findings.push([entry.isSymbolicLink() ? "run-link" : "run-copy", entry.name, null]);
  }
  const marker = path.join(root, ".stablenew", "store.json");
  if (isFile(marker)) {
    const { code } = readDocument(fs.readFileSync(marker), "store", "store-changed");
    if (code) findings.push([code, "store.json", null]);
  } else if (stat(path.dirname(marker))?.isDirectory()) findings.push(["store-incomplete", "store.json", null]);
  runs.sort((a, b) => byText(a.runId, b.runId));
  return {
    runs: Object.fromEntries(runs.map((run) => [run.runId, describe(run)])),
    images: joinImages(runs),
    findings: listFindings(findings),
  };
}

function describe({ state, status, digest, records, events, findings }) {
  const rows = records.map((record) => [record.variant.index, record.status, record.outputs.length]);
  return {
    state,
    status,
    digest,
    records: rows,
    events: events.map((event) => event.id),
    feedback: fold(events),
    findings: listFindings(findings),
  };
}

function listFindings(findings) {
  const found = findings.map(([code, place, line]) =>
    canonical([severityOf(code), code, place, place.includes(".jsonl") ? line : null]),
  );
  return [...new Set(found)].sort().map((text) => JSON.parse(text));
}

function joinImages(runs) {
  const holders = new Map();
  for (const run of runs)
    for (const record of run.records)
      for (const { digest } of record.outputs) holders.set(digest, (holders.get(digest) ?? new Set()).add(run));
  return Object.fromEntries([...holders].map(([digest, holding]) => [digest, describeImage(digest, [...holding])]));
}

function describeImage(digest, runs) {
  const events = sortEvents([...new Map(runs.flatMap((run) => run.events).map((event) => [event.id, event])).values()]);
  const trash = standing(events).filter((event) => event.op === "trash" && event.image_id === digest);
  const given = runs.flatMap((run) =>
    run.records.flatMap((record) => {
      const finals = record.outputs.filter((output) => output.role === "final");
      const isFinal = (finals.length ? finals : record.outputs).some((output) => output.digest === digest);
      return (record.metrics ?? []).filter((score) => score.image_id === digest || (score.image_id == null && isFinal));
    }),
  );
  const later = runs.flatMap((run) => run.scores).filter((score) => (score.image_id ?? digest) === digest);
  const newest = new Map();
  given.sort((a, b) => a.value - b.value);
  later.sort((a, b) => (a.at === b.at ? a.value - b.value : a.at < b.at ? -1 : 1));
  for (const score of [...given, ...later]) newest.set(canonical([score.metric, score.scorer ?? null]), score.value);
  const metrics = [...newest]
    .map(([key, value]) => [...JSON.parse(key), value])
    .sort((a, b) => byText(a[0], b[0]) || byText(a[1] ?? "", b[1] ?? ""));
  return {
    runs: runs.map((run) => run.runId),
    opinions: fold(events).images[digest] ?? {},
    trashed: trash.at(-1)?.present ?? false,
    metrics,
  };
}
