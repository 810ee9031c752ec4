// One run: what was asked, what really ran, what came out, what people think of it.

import { getJson, postJson } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { formatDuration, formatLongTime, plural } from "../../data/format.js";
import { live } from "../../data/live.js";
import { toast } from "../../parts/dialogs.js";
import { buttonLink, fill, h, isShortcut, link } from "../../parts/dom.js";
import { STATUS_WORDS } from "../../parts/job_row.js";
import {
  buildAgainCommand,
  buildFacts,
  buildFeedback,
  buildNeighbours,
  buildReproduction,
  buildVerdict,
} from "../../parts/run_details.js";
import { buildStars } from "../../parts/stars.js";
import { countVaried, opinionOn, Variants } from "./variants.js";

const MAX_TITLE_LENGTH = 80;

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { match, app }) => new RunScreen(root, app, decodeURIComponent(match[1]));

class RunScreen {
  constructor(root, app, runId) {
    this.root = root;
    this.app = app;
    this.runId = runId;
    this.isReadOnly = app.status.is_read_only;
    this.variants = new Variants({
      runId,
      isReadOnly: this.isReadOnly,
      onRate: (imageId, rating) => this.rate(imageId, rating),
    });
    this.unsubscribe = this.subscribe();
  }

  /** Listen to the server and the outbox. Gives the functions that end it. */
  subscribe() {
    const onSaved = () => {
      if (!outbox.unsaved) this.loadFeedback();
    };
    outbox.addEventListener("change", onSaved);
    return [
      () => outbox.removeEventListener("change", onSaved),
      live.on("changes", ({ changes }) => {
        if (changes.some((change) => change.run_id === this.runId)) this.reload();
      }),
    ];
  }

  close() {
    this.grid?.close();
    this.unsubscribe.forEach((end) => end());
  }

  async load() {
    try {
      this.run = await getJson(`/api/runs/${this.runId}`);
    } catch (error) {
      fill(this.root, h("div.page", h("h1", "Run"), h("p.bad", error.message), link("/jobs", "Back to the jobs")));
      if (error.status !== 404) throw error;
      return;
    }
    this.feedback = this.run.feedback;
    this.build();
  }

  async reload() {
    const known = this.run?.records?.length;
    const run = await getJson(`/api/runs/${this.runId}`).catch((error) => {
      if (error.status === 404) this.showGone(true);
      return null;
    });
    if (!run) return;
    this.run = run;
    this.showGone(false);
    this.feedback = this.run.feedback;
    if (this.run.records.length !== known || this.run.state !== this.shownState) this.build();
    else this.showOpinions();
  }

  /** The folder went away, or came back, while the page is open: what was read of it stays on the screen. */
  showGone(isGone) {
    if (this.gone) this.gone.hidden = !isGone;
  }

  async loadFeedback() {
    if (!this.run) return;
    this.feedback = await getJson(`/api/runs/${this.runId}/feedback`).catch(() => this.feedback);
    this.showOpinions();
  }

  build() {
    const { run, variants } = this;
    this.shownState = run.state;
    const title = titleOf(run);
    document.title = `${title} · StableNew`;
    this.gridBox = h("div.run-grid", { hidden: true });
    this.opinions = h("section.panel");
    this.gone = h(
      "p.panel.bad",
      { role: "alert", hidden: true },
      "This run's folder is not in the store any more: it was moved, renamed or deleted. ",
      "What was read of it is still shown; when the folder is back, so is the rest.",
    );
    this.reproduction = h("section", { hidden: true, "aria-label": "Compared with the run it repeats" });
    this.neighbours = h("section", { hidden: true });
    fill(
      this.root,
      h(
        "div.page",
        link("/jobs", "← Jobs"),
        h("h1", title),
        this.gone,
        this.buildActions(),
        this.buildState(),
        this.gridBox,
        variants.stripBox,
        variants.box,
        this.reproduction,
        h("h2", "Opinions"),
        this.opinions,
        this.neighbours,
        h("h2", "The run"),
        buildFacts(run),
      ),
    );
    variants.use(run.records);
    this.showOpinions();
    this.loadGrid();
    this.loadNeighbours();
    this.loadReproduction();
  }

  /** A sweep opens as the grid of its images. */
  async loadGrid() {
    this.grid?.close();
    this.grid = null;
    const isSweep = countVaried(this.run.records) > 0;
    this.gridBox.hidden = !isSweep;
    this.variants.stripBox.hidden = isSweep;
    if (!isSweep) return;
    const { open } = await import("../grid/grid_screen.js");
    this.grid = open(this.gridBox, {
      search: new URLSearchParams({ q: `run:${this.runId}` }),
      app: this.app,
      onCell: (row) => this.variants.showImage(row),
    });
    await this.grid.load();
    if (this.variants.position > 0) this.followVariant(); // somebody was quicker, or had chosen it before
    const { view } = this.grid;
    if (view && document.activeElement === document.body) view.room.focus({ preventScroll: true });
  }

  followVariant() {
    this.grid?.follow((row) => this.variants.isOf(row));
  }

  buildActions() {
    const { run, isReadOnly } = this;
    const command = buildAgainCommand(run);
    this.jobStars = buildStars("Rating of the run", (rating) => this.rate(null, rating), {
      isReadOnly,
      inTabOrder: true,
    });
    this.verdict = h("span", { role: "status" });
    return h(
      "div.actions",
      h("span.status", { "data-status": run.status }, STATUS_WORDS[run.status] ?? run.status),
      this.jobStars,
      buttonLink(`/new?again=${run.run_id}`, "Reproduce"),
      buttonLink(`/new?again=${run.run_id}&vary=1`, "Vary"),
      h("button", { click: () => copy(command) }, "Copy command"),
      h("button", { disabled: isReadOnly, click: () => this.openFolder() }, "Open folder"),
      h("button", { disabled: isReadOnly, click: () => this.verify() }, "Verify now"),
      this.verdict,
    );
  }

  /** What is wrong with the run, and its main figures. */
  buildState() {
    const { run } = this;
    const figures = [
      formatLongTime(run.created_at),
      formatDuration(run.duration_seconds),
      run.engine,
      `${run.records.length} of ${plural(run.plan_size ?? run.records.length, "variant")}`,
    ];
    return [
      run.problem ? h("p.bad", run.problem) : null,
      run.problems.map((problem) => h("p.bad", problem)),
      this.buildUnfinished(),
      h("p.soft", figures.filter(Boolean).join(" · ")),
    ];
  }

  buildUnfinished() {
    if (this.run.state === "incomplete") return h("p.panel", "Part of this run is not here yet. ");
    if (this.run.state !== "interrupted") return null;
    const repair = h("button", { click: () => this.repair() }, "Repair");
    return h("p.panel", "This run was cut off before its end. ", this.isReadOnly ? null : repair);
  }

  showOpinions() {
    this.jobStars?.show(opinionOn(this.feedback, this.runId, null).rating ?? null);
    this.variants.showOpinions(this.feedback);
    fill(
      this.opinions,
      buildFeedback(this.feedback, (digest) => this.variants.nameOf(digest)),
    );
  }

  /** Rate an image; the run where `imageId` is null. */
  rate(imageId, rating) {
    if (this.isReadOnly) return;
    const before = opinionOn(this.feedback, this.runId, imageId);
    outbox.submit([{ run_id: this.runId, image_id: imageId, rating }], [before]);
    this.showOpinions();
  }

  async openFolder() {
    const { path, is_open: isOpen } = await postJson(`/api/runs/${this.runId}/open`);
    toast(isOpen ? `Opened ${path}` : `No program here opens folders; it is ${path}`);
  }

  async verify() {
    fill(this.verdict, "verifying…");
    try {
      const report = await postJson(`/api/runs/${this.runId}/verify`, { deep: true });
      fill(this.verdict, buildVerdict(report));
    } catch (error) {
      fill(this.verdict, h("span.bad", error.message));
    }
  }

  async repair() {
    const { runs } = await postJson("/api/repair", { run_ids: [this.runId] });
    toast(runs[0].actions.map((action) => `${action.code} ${action.message}`).join("; ") || "Nothing to repair");
    await this.load();
  }

  async loadReproduction() {
    if (!this.run.metadata?.correlation?.parent_run_id) return;
    const path = `/api/runs/${this.runId}/reproduction`;
    const { reproduction } = await getJson(path).catch(() => ({ reproduction: null }));
    this.reproduction.hidden = !reproduction;
    if (reproduction) fill(this.reproduction, buildReproduction(reproduction));
  }

  async loadNeighbours() {
    const { neighbours } = await getJson(`/api/runs/${this.runId}/neighbours`).catch(() => ({ neighbours: [] }));
    this.neighbours.hidden = !neighbours.length;
    if (neighbours.length) fill(this.neighbours, buildNeighbours(neighbours));
  }

  /** Show another variant, in the grid too: there is one that keys are about. */
  move(step) {
    this.variants.show(this.variants.position + step);
    this.followVariant();
  }

  onKey(event) {
    if (isShortcut(event) || !this.run) return;
    if (this.gridBox.contains(event.target)) this.grid?.onKey(event);
    if (event.defaultPrevented) return;
    const { key } = event;
    const step = { ArrowLeft: -1, h: -1, ArrowRight: 1, l: 1 }[key];
    if (step && event.target.getAttribute?.("type") !== "range") this.move(step);
    else if (/^[0-5]$/.test(key)) this.variants.rateCurrent(Number(key));
    else if (key === "Delete") this.variants.rateCurrent(null);
    else if (key === "z") reportNothing(outbox.undo(), "undo");
    else if (key === "Z") reportNothing(outbox.redo(), "redo");
    else if (key === "v" && !this.isReadOnly) this.verify();
    else if (key === "r") this.app.go(`/new?again=${this.runId}`);
    else if (key === "Escape") this.app.go("/jobs");
    else return;
    event.preventDefault();
  }
}

/** What people call a run: its pack or action, else how its prompt begins. */
function titleOf({ packs, one_click_action: action, records, run_id: runId }) {
  const prompt = records[0]?.prompt.positive ?? "";
  const start = prompt.length > MAX_TITLE_LENGTH ? `${prompt.slice(0, MAX_TITLE_LENGTH)}…` : prompt;
  return packs.join(", ") || action || start || runId;
}

const reportNothing = (entry, act) => entry ?? toast(`Nothing to ${act}`);

async function copy(text) {
  const isCopied = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  toast(isCopied ? `Copied: ${text}` : text);
}
