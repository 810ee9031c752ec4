// One run folder, read and checked, in the order of ../../README.md.
import fs from "node:fs";
import path from "node:path";
import { canonical, linesOf, readDocument, sha256, xxh128 } from "./documents.mjs";
import { fold, readFeedback, readScores } from "./feedback.mjs";

export const DOCUMENTS = ["run_metadata.json", "records.jsonl", "SHA256SUMS"];
const [METADATA, RECORDS, SEAL] = DOCUMENTS;
export const GENERATED = /^[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-hjkmnp-tv-z]{10}$/;
export const RUN_ID = /^(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$)[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;
const OUTPUT = /^outputs\/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9])?$/;
const COMING_IN =
  /\.(?:!sync|!ut|part|filepart|partial|crdownload|download|tmp|temp|swp|aria2)$|\.sb-[0-9a-f]+-[a-z0-9]+$/i;
const LEFT_BY_TOOLS = /\.sync-conflict-|\.conflict[0-9]+$|\.\.path[0-9]+$|^desktop\.ini$|^Thumbs\.db$/;
const MAGIC = { "image/png": /^\x89PNG\r\n\x1a\n/, "image/jpeg": /^\xff\xd8\xff/, "image/gif": /^GIF8/ };

export const stat = (place) => fs.lstatSync(place, { throwIfNoEntry: false });
export const isFile = (place) => stat(place)?.isFile() ?? false;

/** Path and SHA-256 of every line of a seal; null if it is none. */
export function parseSeal(data) {
  const sums = new Map();
  const lines = data.toString("latin1").split("\n");
  if (lines.pop() !== "" || lines.length === 0) return null;
  for (const line of lines) {
    const found = /^([0-9a-f]{64}) {2}([A-Za-z0-9][A-Za-z0-9._/-]*)$/.exec(line);
    if (!found || found[2].split("/").includes("..") || sums.has(found[2])) return null;
    sums.set(found[2], found[1]);
  }
  return sums;
}

/** One run, checked. */
export function readRun(folder) {
  const runId = path.basename(folder),
    findings = [],
    say = (code, place, line = null) => findings.push([code, place, line]);
  const outputs = path.join(folder, "outputs");
  const hasOutputs = stat(outputs)?.isDirectory() ?? false,
    cache = new Map();
  const read = (name) => {
    if (!cache.has(name))
      cache.set(
        name,
        isFile(path.join(folder, name)) && (hasOutputs || !name.startsWith("outputs/"))
          ? fs.readFileSync(path.join(folder, name))
          : null,
      );
    return cache.get(name);
  };
  const names = [],
    entries = fs.readdirSync(folder, { withFileTypes: true }).map((entry) => [entry.name, entry]);
  if (hasOutputs)
    entries.push(...fs.readdirSync(outputs, { withFileTypes: true }).map((entry) => [`outputs/${entry.name}`, entry]));
  const isSpeech = (name) =>
    !name.includes("/") && !COMING_IN.test(name) && /^feedback.*\.json|^metrics\..+\.jsonl/s.test(name);
  for (const [name, entry] of entries) {
    if (name === "outputs" && entry.isDirectory()) continue;
    const base = path.basename(name);
    const isOurs =
      DOCUMENTS.includes(name) ||
      name === "outputs" ||
      isSpeech(name) ||
      (OUTPUT.test(name) && !COMING_IN.test(base) && !LEFT_BY_TOOLS.test(base));
    if (!isOurs || (name.startsWith("outputs/") && entry.isDirectory())) say("file-ignored", name);
    else if (entry.isFile()) names.push(name);
    else say("link-refused", name);
  }
  const speech = (start) =>
    names.filter((name) => isSpeech(name) && name.startsWith(start)).map((name) => [name, read(name)]);
  const feedback = readFeedback(runId, speech("feedback")),
    scores = readScores(runId, speech("metrics"));
  findings.push(...feedback.findings, ...scores.findings);
  const removals = fold(feedback.events).removals ?? [];

  const isSealed = read(SEAL) !== null,
    hasSeal = stat(path.join(folder, SEAL)) !== undefined;
  const sums = isSealed ? parseSeal(read(SEAL)) : null;
  if (isSealed && !sums) say("seal-unreadable", SEAL);
  const removed = new Set();
  const excuse = (name, removal) => removal && name.startsWith("outputs/") && (removed.add(name), true);
  const isAsSealed = (name) => read(name) !== null && sha256(read(name)) === sums.get(name);
  let isComplete = sums !== null && (hasOutputs || stat(outputs) === undefined);
  for (const [name, sum] of sums ?? []) {
    if (read(name) !== null) {
      if (!isAsSealed(name)) say("file-changed", name);
    } else if (
      !excuse(
        name,
        removals.find((removal) => removal.sha256 === sum),
      )
    ) {
      say("file-missing", name);
      isComplete = false;
    }
  }
  const removedFromSeal = new Set(removed);
  const sealedOutputs = new Set(
    [...(sums ?? [])].filter(([name]) => name.startsWith("outputs/")).map(([, sum]) => sum),
  );
  for (const name of sums ? names : []) {
    if (name === SEAL || isSpeech(name) || sums.has(name)) continue;
    say(sealedOutputs.has(sha256(read(name))) ? "file-ignored" : "file-unlisted", name);
  }

  const metadata = read(METADATA)
    ? readDocument(read(METADATA), "run_metadata", "metadata-unreadable")
    : { code: hasSeal ? "metadata-missing" : "" };
  if (metadata.code) say(metadata.code, METADATA);
  const about = metadata.value;
  if (about && about.run_id !== runId) say("metadata-mismatch", METADATA);
  if (about && xxh128(canonical(about.config)) !== about.config_digest) say("documents-disagree", METADATA);
  if (about?.status === "running" && isSealed) say("documents-disagree", METADATA);

  const records = [],
    known = new Set(),
    digests = new Map(),
    indices = new Set();
  let lineCount = 0,
    isWholeFile = true,
    hasLater = false,
    hasBad = false;
  for (const [number, line, isWhole] of linesOf(read(RECORDS) ?? Buffer.alloc(0))) {
    isWholeFile = isWhole;
    lineCount += isWhole ? 1 : 0;
    const { value: record, code } = isWhole
      ? readDocument(line, "learning_record", "record-unreadable")
      : { code: "record-torn" };
    if (code) {
      say(code, RECORDS, number);
      hasBad = true;
      hasLater ||= code === "newer-format";
      continue;
    }
    records.push(record);
    if (record.run_id !== runId) say("record-mismatch", RECORDS, number);
    const { index, total } = record.variant,
      stages = record.stages.map((stage) => stage.name);
    if (indices.has(index) || index >= total) say("documents-disagree", RECORDS, number);
    indices.add(index);
    if (stages.length && record.outputs.some((output) => !stages.includes(output.stage)))
      say("documents-disagree", RECORDS, number);
    if (record.reconstructed?.raw_path) known.add(record.reconstructed.raw_path);
    for (const output of record.outputs) {
      const place = output.path ?? output.origin.path;
      if (output.sha256 && (digests.get(output.digest) ?? output.sha256) !== output.sha256)
        say("digest-collision", place);
      if (output.sha256 && !digests.has(output.digest)) digests.set(output.digest, output.sha256);
      if (output.path == null) continue;
      known.add(output.path);
      const data = read(output.path);
      if (data === null) {
        const fitting = removals.find(
          (removal) =>
            removal.digest === output.digest &&
            removal.size_bytes === output.size_bytes &&
            (output.sha256 ?? removal.sha256) === removal.sha256,
        );
        if (!excuse(output.path, fitting)) say("output-missing", output.path);
      } else if (
        data.length !== output.size_bytes ||
        xxh128(data) !== output.digest ||
        (output.sha256 && sha256(data) !== output.sha256)
      )
        say("output-changed", output.path);
      isComplete &&= removedFromSeal.has(output.path) || data?.length === output.size_bytes;
      const found = Object.entries(MAGIC).find(([, magic]) => data && magic.test(data.toString("latin1", 0, 8)))?.[0];
      if (found && found !== output.media_type) say("media-type-mismatch", output.path);
    }
  }
  for (const name of removed) say("output-removed", name);
  for (const name of names) if (name.startsWith("outputs/") && !known.has(name)) say("output-unrecorded", name);

  const isIntact = sums && (sums.has(RECORDS) ? isAsSealed(RECORDS) : true);
  if (about && isIntact) {
    const held = [...sums.keys()].filter((name) => name !== METADATA);
    const found = {
      record_count: records.length,
      output_count: records.reduce((count, record) => count + record.outputs.length, 0),
    };
    if (!hasLater && Object.entries(found).some(([name, count]) => (about[name] ?? count) !== count))
      say("metadata-mismatch", METADATA);
    const bytes = held.reduce((count, name) => count + (read(name)?.length ?? 0), 0);
    if (
      about.held &&
      held.every(isAsSealed) &&
      (about.held.file_count !== held.length || about.held.size_bytes !== bytes)
    )
      say("metadata-mismatch", METADATA);
    if (!hasBad && (about.stages ?? []).some((stage) => stage.outputs.some((name) => !known.has(name))))
      say("documents-disagree", METADATA);
  }
  isComplete &&= about !== undefined && isWholeFile && lineCount >= (about.record_count ?? 0);
  if (!hasSeal) say("run-incomplete", "");
  const state = isComplete ? "sealed" : "incomplete"; // `running` and `interrupted` are known to one machine alone
  return {
    runId,
    state,
    status: isComplete ? about.status : state,
    digest: isSealed ? `sha256:${sha256(read(SEAL))}` : null,
    records,
    events: feedback.events,
    scores: scores.scores,
    findings,
  };
}
