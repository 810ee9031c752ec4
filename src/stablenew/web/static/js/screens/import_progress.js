// How far an import is, on every screen: a line below the top, and a word at the end.

import { postJson } from "../data/api.js";
import { toast } from "../parts/dialogs.js";
import { h } from "../parts/dom.js";
import { formatCount, formatDuration, plural } from "../data/format.js";
import { live } from "../data/live.js";

/** When an import was first seen, and how far it was then: its rate follows. @type {{number: number, time: number, done: number} | null} */
let first = null;
let newest = 0;
let wasSeenRunning = false;

/** A task of importing in words, with its rate and the time that is left. */
export function describeProgress(task, now = Date.now()) {
  if (task.is_over) return describeEnd(task);
  if (!task.total) return "Looking for images…";
  if (!first || task.done < first.done) first = { number: task.number, time: now, done: task.done };
  const seconds = (now - first.time) / 1000;
  const rate = seconds > 1 ? (task.done - first.done) / seconds : 0;
  const left = rate
    ? `, ${formatCount(Math.round(rate))} a second, ${formatDuration((task.total - task.done) / rate)} left`
    : "";
  return `Taking in images: ${formatCount(task.done)} of ${formatCount(task.total)} read${left}`;
}

function describeEnd(task) {
  first = null;
  if (task.is_cancelled) return "Stopped. What was imported stays; the next import continues there.";
  if (task.error) return `The import ended: ${task.error}`;
  const total = (name) => task.result.imports.reduce((sum, report) => sum + report[name], 0);
  const leftOut = countLeftOut(task).reduce((sum, [, count]) => sum + count, 0);
  return `${plural(total("imported"), "image")} imported${leftOut ? ", " + plural(leftOut, "file") + " left out" : ""}`;
}

/** How many files an import left out, for each reason. @returns {[string, number][]} */
export function countLeftOut(task) {
  const counts = new Map();
  for (const report of task.result?.imports ?? [])
    for (const [reason, count] of Object.entries(report.left_out))
      counts.set(reason, (counts.get(reason) ?? 0) + count);
  return [...counts];
}

/** Show imports from now on; `app` is what screens get. */
export function startImportProgress(app) {
  const words = h("span");
  const bar = h("progress", { "aria-label": "Taking in images" });
  const stop = h("button.quiet", { click: () => postJson("/api/import/stop") }, "Stop");
  const line = h("div.banner.import-line", { role: "status", hidden: true }, words, bar, stop);
  document.getElementById("banner").after(line);
  live.on("task", (task) => {
    if (task.kind !== "import" || task.number < newest) return;
    newest = task.number;
    const isHere = location.pathname === "/import"; // which shows it itself
    line.hidden = task.is_over || isHere;
    if (task.total) {
      bar.max = task.total;
      bar.value = task.done;
    }
    words.textContent = line.hidden ? "" : describeProgress(task);
    if (task.is_over && wasSeenRunning)
      toast(describeEnd(task), { isError: Boolean(task.error) && !task.is_cancelled });
    else if (!task.is_over && isHere && task.done && app.status.run_count === 0) leave(app);
    wasSeenRunning = !task.is_over;
  });
}

/** The first images are there: the wall fills while the rest comes. */
function leave(app) {
  app.status.run_count = 1;
  app.go("/");
}
