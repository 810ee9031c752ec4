// Health: is everything where it should be, and is it still what it was?

import { getJson, postJson, runUrl } from "../data/api.js";
import { showError, toast } from "../parts/dialogs.js";
import { buildDefinitions, buildTable, fill, h, link, showProgress } from "../parts/dom.js";
import { formatBytes, formatCount, formatDuration, formatTime, plural } from "../data/format.js";
import { live } from "../data/live.js";
import { acceptTaskState } from "../data/task_states.js";
import { DeviceList } from "./device_list.js";

const TASKS = {
  verify: ["Verify all runs", "Reads every file and compares it with its seal."],
  survey: ["Look through the folders", "How much lies where, and what sync tools left behind."],
};

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { app }) => new HealthScreen(root, app);

class HealthScreen {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    this.tasks = {};
    this.devices = new DeviceList(app.status.is_read_only);
    this.unsubscribe = [live.on("task", (task) => this.showTask(task)), live.on("hello", () => this.load())];
  }

  close() {
    this.unsubscribe.forEach((end) => end());
    this.devices.close();
  }

  async load() {
    const health = await getJson("/api/health");
    this.build(health);
    this.devices.load();
    health.tasks.forEach((task) => this.showTask(task));
  }

  build({ index, watcher, interrupted, incomplete, unreadable }) {
    const isReadOnly = this.app.status.is_read_only;
    const state = watcher.is_leading ? "kept up to date by this server" : index.state;
    const facts = [
      ["Store", index.store],
      ["Jobs", formatCount(index.run_count)],
      ["Index", `${state}${index.is_complete ? "" : ", still being built"}`],
      ["Index file", index.path],
      ["Index size", formatBytes(index.size_bytes)],
      [
        "Last scan",
        index.age_seconds === null
          ? "never"
          : `${formatDuration(index.age_seconds)} ago; a scan takes ${formatDuration(index.sweep_seconds)}`,
      ],
      ["Change detection", watcher.polling_reason ? `polling: ${watcher.polling_reason}` : "reported by the system"],
    ];
    fill(
      this.root,
      h(
        "div.page",
        h("h1", "Health"),
        h("p", link("/trash", "Trash: see what is in it, and free the disk")),
        h("p", link("/copies", "Copies: pictures that are there in several files")),
        h("section.panel", { "aria-label": "Store and index" }, buildDefinitions("pairs", facts)),
        this.devices.element,
        h("h2", "Interrupted runs"),
        this.buildInterrupted(interrupted, isReadOnly),
        incomplete.length
          ? [
              h("h2", "Incomplete runs"),
              h("p.hint", "The rest is still on another machine, or is being synced."),
              buildRunTable(incomplete),
            ]
          : null,
        unreadable.length
          ? [h("h2", "Runs with unreadable files"), buildRunTable(unreadable, (job) => job.problem)]
          : null,
        Object.entries(TASKS).map(([kind, [title, meaning]]) => this.buildTask(kind, title, meaning, isReadOnly)),
      ),
    );
  }

  buildInterrupted(runs, isReadOnly) {
    if (!runs.length) return h("p.ok", "None");
    return h(
      "section.panel",
      { "aria-label": "Interrupted runs" },
      h(
        "p",
        `${plural(runs.length, "run")} ended without a seal: a crash, a power cut. Repairing keeps every whole record and every image, and seals the run as interrupted. `,
        h(
          "button.primary",
          { disabled: isReadOnly, click: () => this.repair(runs) },
          runs.length > 1 ? "Repair all" : "Repair",
        ),
      ),
      buildRunTable(runs),
    );
  }

  async repair(runs) {
    try {
      const { runs: reports } = await postJson("/api/repair", { run_ids: runs.map((run) => run.run_id) });
      const count = reports.filter((report) => report.actions.some((action) => action.code === "sealed")).length;
      toast(`${plural(count, "run")} repaired`);
    } catch (error) {
      showError(error);
    }
    setTimeout(() => this.load(), 300);
  }

  buildTask(kind, title, meaning, isReadOnly) {
    const parts = {
      button: h("button", { disabled: isReadOnly, click: () => this.begin(kind) }, title),
      stop: h("button", { hidden: true, click: () => postJson("/api/tasks", { kind, stop: true }) }, "Stop"),
      bar: h("progress", { hidden: true, "aria-label": title }),
      words: h("span.soft", { role: "status" }),
      result: h("div"),
    };
    this.tasks[kind] = parts;
    return h(
      "section",
      { "aria-label": title },
      h("h2", title),
      h("p.hint", meaning),
      h("div.actions", parts.button, parts.stop, parts.words),
      parts.bar,
      parts.result,
    );
  }

  async begin(kind) {
    this.showTask(await postJson("/api/tasks", { kind }));
  }

  showTask(task) {
    const parts = this.tasks[task.kind];
    if (!parts || !acceptTaskState(task)) return;
    parts.button.disabled = !task.is_over || this.app.status.is_read_only;
    parts.stop.hidden = task.is_over;
    showProgress(parts.bar, task);
    parts.words.textContent = task.is_over
      ? ""
      : task.total
        ? `${formatCount(task.done)} of ${plural(task.total, "run")}`
        : "starting…";
    if (!task.is_over) return;
    if (task.error) fill(parts.result, h("p.bad", task.is_cancelled ? "stopped" : task.error));
    else fill(parts.result, task.kind === "verify" ? buildVerdict(task.result) : buildSurvey(task.result));
  }
}

const buildRunTable = (runs, note = (job) => job.packs.join(", ")) =>
  buildTable(
    ["Run", "Time", "Status", ""],
    runs.map((job) => [link(runUrl(job.run_id), job.run_id), formatTime(job.created_at), job.status, note(job)]),
  );

function buildVerdict(result) {
  const counted = `${plural(result.runs, "run")}, ${plural(result.files, "file")}, ${formatBytes(result.size_bytes)}`;
  return [
    h(
      "p",
      { class: result.ok ? "ok" : "bad" },
      `${result.ok ? "✓" : "✗"} ${counted}: ${result.ok ? "all as recorded" : "not all as recorded"}`,
    ),
    buildPlaces(result.images),
    result.reports.map((report) =>
      h(
        "div.panel",
        link(runUrl(report.run_id), report.run_id),
        report.findings.map(({ severity, code, path, line, message }) =>
          h("div", { class: `finding-${severity}` }, `${code} ${path}${line ? ", line " + line : ""}: ${message}`),
        ),
      ),
    ),
    result.left_out ? h("p.hint", `and ${plural(result.left_out, "run")} more; stablenew verify names them all`) : null,
  ];
}

const PLACES = [
  ["held", "in the store", "ok"],
  ["in_place", "where they were found", "ok"],
  ["missing", "missing", "bad"],
  ["removed", "removed on purpose", ""],
  ["elsewhere", "in folders that this machine does not know", ""],
];

/** Where the images are, by how many. */
function buildPlaces(images) {
  const there = PLACES.filter(([name], place) => place < 3 || images[name]);
  return h(
    "ul.image-places",
    { "aria-label": "Images" },
    there.map(([name, words, kind]) =>
      h("li", { class: images[name] ? kind : "soft" }, h("span.number", formatCount(images[name])), ` ${words}`),
    ),
  );
}

function buildSurvey(result) {
  const sum = (name) => {
    const totals = new Map();
    for (const row of result.sizes) totals.set(row[name], (totals.get(row[name]) ?? 0) + row.size_bytes);
    return [...totals];
  };
  const packs = sum("pack").sort((a, b) => b[1] - a[1]);
  const months = sum("month").sort((a, b) => (a[0] < b[0] ? 1 : -1));
  return [
    h("p", h("strong", formatBytes(result.size_bytes)), " in total"),
    h("h3", "By pack"),
    buildBars(packs),
    h("h3", "By month"),
    buildBars(months),
    h("h3", "Leftover files"),
    result.conflict_copy_count + result.leftover_count === 0
      ? h("p.ok", "No conflict copies, no temporary files")
      : [
          result.conflict_copy_count
            ? h(
                "p",
                `${formatCount(result.conflict_copy_count)} ${result.conflict_copy_count === 1 ? "conflict copy" : "conflict copies"} of feedback; their content counts already; stablenew repair folds them in.`,
              )
            : null,
          result.leftover_count
            ? h("p", `${plural(result.leftover_count, "temporary file")}; stablenew repair removes our own.`)
            : null,
          h(
            "ul",
            [...result.conflict_copies, ...result.leftovers]
              .slice(0, 50)
              .map(({ run_id: runId, name }) => h("li", link(runUrl(runId), runId), ` ${name}`)),
          ),
        ],
  ];
}

function buildBars(rows) {
  const largest = Math.max(1, ...rows.map(([, size]) => size));
  return h(
    "div",
    rows
      .slice(0, 40)
      .map(([name, size]) =>
        h(
          "div.bar-row",
          h("span", name),
          h("span.bar", { "aria-hidden": "true", style: { width: `${(100 * size) / largest}%` } }),
          h("span.number", formatBytes(size)),
        ),
      ),
  );
}
