// What people and programs said of a run: events, their fold, and scores.
import { byText, canonical, fits, linesOf, parseIJson, readDocument, xxh128 } from "./documents.mjs";

/** The events of feedback files by name, and what is wrong with them as [code, name, line]. */
export function readFeedback(runId, files) {
  const events = new Map(),
    findings = [],
    documents = [];
  for (const [name, data] of files) {
    const genuine = [],
      say = (code, line = null) => findings.push([code, name, line]);
    const take = (event, line) => {
      const { id, ...rest } = event;
      if (xxh128(canonical(rest)) === id) genuine.push(event);
      else say("feedback-forged", line);
    };
    if (name.includes(".jsonl")) {
      for (const [number, line, isWhole] of linesOf(data)) {
        const { value } = isWhole ? readDocument(line, "feedback_event", "") : {};
        if (!isWhole) say("feedback-torn", number);
        else if (value) take(value, number);
        else say("feedback-unreadable", number);
      }
    } else {
      const { value, code } = readDocument(data, "feedback", "feedback-unreadable");
      if (code) say(code);
      else if (value.run_id !== runId) say("feedback-mismatch");
      else {
        value.events.forEach((event) => take(event, null));
        documents.push([name, value.state, genuine]);
      }
    }
    if (name !== "feedback.json" && !/^feedback\.[a-z0-9]+(?:-[a-z0-9]+)*\.jsonl$/.test(name) && genuine.length)
      say("feedback-conflict-copy");
    const soon = new Date(Date.now() + 86400000).toISOString() + "-ffff";
    if (genuine.some((event) => event.clock > soon)) say("feedback-ahead");
    for (const event of genuine) events.set(event.id, event);
  }
  for (const [name, state, own] of documents)
    if (!isStateOf(state, sortEvents(own))) findings.push(["feedback-stale", name, null]);
  return { events: sortEvents([...events.values()]), findings };
}

const orderOf = (event) => `${event.clock} ${event.id}`;
export const sortEvents = (events) => events.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
const pick = (from, names) =>
  Object.fromEntries(names.filter((name) => from[name] != null).map((name) => [name, from[name]]));

/** The events that nobody took back. */
export function standing(events) {
  const taken = new Set(
    events
      .filter((event) => event.op === "retract")
      .flatMap((event) => event.event_ids.map((id) => canonical([event.rater, id]))),
  );
  return events.filter((event) => event.op !== "retract" && !taken.has(canonical([event.rater, event.id])));
}

/** What events, in their order, mean now: the `state` of a feedback.json. */
export function fold(events) {
  const words = new Map(),
    preferences = [],
    removals = [],
    opinions = new Map();
  for (const event of standing(events)) {
    const { op, rater } = event,
      image = event.image_id ?? "";
    const about = { rate: event.aspect ?? "", tag: event.tag, note: event.note_id, flag: "", trash: "" }[op];
    if (about !== undefined && Object.hasOwn({ rate: 1, tag: 1, note: 1, flag: 1, trash: 1 }, op))
      words.set(canonical([image, rater, op, about]), event);
    if (op === "prefer")
      preferences.push({
        event_id: event.id,
        ...pick(event, ["rater", "winner", "loser", "outcome", "shown", "other_run_id"]),
      });
    if (op === "remove")
      removals.push({ event_id: event.id, ...pick(event, ["replica", "digest", "sha256", "size_bytes", "reason"]) });
  }
  for (const event of words.values()) {
    const key = canonical([event.image_id ?? "", event.rater]);
    if (!opinions.has(key)) opinions.set(key, { aspects: [], tags: [], notes: [] });
    const said = opinions.get(key);
    if (event.op === "rate" && event.rating != null && event.aspect) said.aspects.push([event.aspect, event.rating]);
    else if (event.op === "rate" && event.rating != null)
      Object.assign(said, { rating: event.rating, rated_at: event.clock });
    if (event.op === "tag" && event.present) said.tags.push(event.tag);
    if (event.op === "note" && event.text != null) said.notes.push({ note_id: event.note_id, text: event.text });
    if (event.op === "flag" && event.flag != null) said.flag = event.flag;
    if (event.op === "trash" && event.present) said.trashed = true;
  }
  const run = [],
    images = new Map();
  for (const [key, { aspects, tags, notes, ...said }] of opinions) {
    const [image, rater] = JSON.parse(key);
    if (aspects.length) said.aspects = Object.fromEntries(aspects);
    if (tags.length) said.tags = tags.sort(byText);
    if (notes.length) said.notes = notes.sort((a, b) => byText(a.note_id, b.note_id));
    if (Object.keys(said).length === 0) continue;
    if (image && !images.has(image)) images.set(image, []);
    (image ? images.get(image) : run).push([rater, said]);
  }
  const byImage = [...images].map(([image, raters]) => [image, Object.fromEntries(raters)]);
  return {
    run: Object.fromEntries(run),
    images: Object.fromEntries(byImage),
    preferences,
    ...(removals.length ? { removals } : {}),
  };
}

function isStateOf(state, events) {
  const early = fold(events.filter((event) => event.op !== "trash" && event.op !== "remove"));
  early.preferences = early.preferences.map(({ other_run_id, ...rest }) => rest);
  return [fold(events), early].some((meant) => canonical(meant) === canonical(state));
}

/** Scores of metrics files by name, the earliest first, and findings. */
export function readScores(runId, files) {
  const scores = [],
    findings = [];
  for (const [name, data] of files) {
    for (const [number, line, isWhole] of linesOf(data)) {
      if (!isWhole) {
        findings.push(["metrics-torn", name, number]);
        continue;
      }
      const { value, code } = readDocument(line, "metric_batch", "metrics-unreadable");
      if (code) findings.push([code, name, number]);
      else if (value.run_id !== runId) findings.push(["metrics-mismatch", name, number]);
      if (code === "newer-format") continue;
      let batch = value;
      try {
        batch ??= parseIJson(line);
      } catch {
        continue;
      }
      if (batch?.run_id !== runId || !Array.isArray(batch.scores)) continue;
      for (const score of batch.scores) {
        if (
          fits("metric_batch", {
            ...pick(batch, ["kind", "schema_version", "run_id", "scored_at"]),
            replica: "any",
            scores: [score],
          })
        )
          scores.push({ at: batch.scored_at, ...score });
      }
    }
  }
  return { scores: scores.sort((a, b) => (a.at === b.at ? a.value - b.value : a.at < b.at ? -1 : 1)), findings };
}
