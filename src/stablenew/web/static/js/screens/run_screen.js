// One run: what was asked, what really ran, what came out, what people think of it.

import { getJson, outputUrl, postJson } from "../data/api.js";
import { toast } from "../parts/dialogs.js";
import { fill, h } from "../parts/dom.js";
import { formatDuration, formatLongTime, plural } from "../data/format.js";
import { live } from "../data/live.js";
import { outbox } from "../data/feedback_outbox.js";
import { buildImages, buildStripItem, buildWords, describeOutput, finalOutputs } from "../parts/record_view.js";
import {
  buildAgainCommand,
  buildFacts,
  buildFeedback,
  buildNeighbours,
  buildReproduction,
  buildVerdict,
} from "../parts/run_details.js";
import { buildStars } from "../parts/stars.js";

const MOST_VARIED = 4;

/** How many settings vary on purpose; 0 where so many do that the images have little in common. */
function countVaried(records) {
  const values = {};
  for (const { requested } of records)
    for (const [name, value] of Object.entries(requested)) (values[name] ??= new Set()).add(JSON.stringify(value));
  const varied = Object.keys(values).filter((name) => name !== "seed" && values[name].size > 1);
  return varied.length > MOST_VARIED ? 0 : varied.length;
}

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { match, app }) => new RunScreen(root, app, decodeURIComponent(match[1]));

class RunScreen {
  constructor(root, app, runId) {
    this.root = root;
    this.app = app;
    this.runId = runId;
    /** Which record is shown. */
    this.position = 0;
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
      this.showProblem(error.message);
      if (error.status !== 404) throw error;
      return;
    }
    this.feedback = this.run.feedback;
    this.build();
  }

  showProblem(message) {
    fill(
      this.root,
      h(
        "div.page",
        h("h1", "Run"),
        h("p.bad", message),
        h("a", { "data-link": true, href: "/jobs" }, "Back to the jobs"),
      ),
    );
  }

  async reload() {
    const known = this.run?.records?.length;
    this.run = await getJson(`/api/runs/${this.runId}`).catch(() => this.run);
    if (!this.run) return;
    this.feedback = this.run.feedback;
    if (this.run.records.length !== known || this.run.state !== this.shownState) this.build();
    else this.showOpinions();
  }

  async loadFeedback() {
    if (!this.run) return;
    this.feedback = await getJson(`/api/runs/${this.runId}/feedback`).catch(() => this.feedback);
    this.showOpinions();
  }

  build() {
    const { run } = this;
    this.shownState = run.state;
    document.title = `${run.packs.join(", ") || run.run_id} · StableNew`;
    this.variantBox = h("section.panel", { "aria-label": "Variant" });
    this.strip = h("div.strip");
    this.stripBox = h("div.strip-box", this.strip);
    this.gridBox = h("div.run-grid", { hidden: true });
    this.opinions = h("section.panel");
    this.reproduction = h("section", { hidden: true, "aria-label": "Compared with the run it repeats" });
    this.neighbours = h("section", { hidden: true });
    fill(
      this.root,
      h(
        "div.page",
        h("a", { "data-link": true, href: "/jobs" }, "← Jobs"),
        h("h1", run.packs.join(", ") || run.one_click_action || run.run_id),
        this.buildActions(),
        this.buildState(),
        this.gridBox,
        this.stripBox,
        this.variantBox,
        this.reproduction,
        h("h2", "Opinions"),
        this.opinions,
        this.neighbours,
        h("h2", "The run"),
        buildFacts(run),
      ),
    );
    this.buildStrip();
    this.showVariant(Math.min(this.position, Math.max(0, run.records.length - 1)));
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
    this.stripBox.hidden = isSweep;
    if (!isSweep) return;
    const { open } = await import("./grid/grid_screen.js");
    this.grid = open(this.gridBox, {
      search: new URLSearchParams({ q: `run:${this.runId}` }),
      app: this.app,
      onCell: (row) => this.showImage(row),
    });
    await this.grid.load();
    const { view } = this.grid;
    if (!view) return;
    view.cursor = view.step(0, 0);
    view.redraw();
    if (document.activeElement === document.body) view.room.focus({ preventScroll: true });
  }

  /** The variant that made an image. */
  showImage({ name }) {
    const index = Number(name.split("/")[0]);
    this.showVariant(this.run.records.findIndex(({ variant }) => variant.index === index));
  }

  buildActions() {
    const { run } = this;
    const isReadOnly = this.app.status.is_read_only;
    const command = buildAgainCommand(run);
    this.jobStars = buildStars("Rating of the run", (rating) => this.submit(null, { rating }), {
      isReadOnly,
      inTabOrder: true,
    });
    this.verdict = h("span", { role: "status" });
    return h(
      "div.actions",
      h("span.status", { "data-status": run.status }, run.status),
      this.jobStars,
      h("a.button", { "data-link": true, href: `/new?again=${run.run_id}` }, "Reproduce"),
      h("a.button", { "data-link": true, href: `/new?again=${run.run_id}&vary=1` }, "Vary"),
      h("button", { click: () => this.copy(command) }, "Copy command"),
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
    return h("p.panel", "This run was cut off before its end. ", this.app.status.is_read_only ? null : repair);
  }

  buildStrip() {
    const { records } = this.run;
    fill(
      this.strip,
      records.length
        ? records.map((record, position) => buildStripItem(this.runId, record, () => this.showVariant(position)))
        : h("p.hint", "No variant is recorded yet."),
    );
  }

  showVariant(position) {
    this.position = position;
    [...this.strip.children].forEach((button, index) => {
      if (button.tagName !== "BUTTON") return;
      button.setAttribute("aria-pressed", String(index === position));
      if (index === position) button.scrollIntoView({ block: "nearest" });
    });
    const record = this.run.records[position];
    this.variantBox.hidden = !record;
    if (!record) return;
    this.imageStars = [];
    fill(
      this.variantBox,
      h(
        "div.variant",
        h(
          "div",
          buildImages(this.runId, record),
          finalOutputs(record).map((output, number) => this.buildRating(output, number)),
        ),
        buildWords(record),
      ),
    );
    this.showOpinions();
  }

  buildRating(output, number) {
    const stars = buildStars(`Rating of image ${number + 1}`, (rating) => this.submit(output.digest, { rating }), {
      isReadOnly: this.app.status.is_read_only,
      inTabOrder: true,
    });
    this.imageStars.push([output, stars]);
    return h(
      "div.actions",
      stars,
      h("a", { href: outputUrl(this.runId, output.digest), target: "_blank", rel: "noreferrer" }, "Original"),
      h("span.soft", describeOutput(output)),
    );
  }

  /** What this person thinks of an image; of the run where `imageId` is null. */
  opinion(imageId) {
    const { state, rater } = this.feedback;
    const saved = (imageId === null ? state.run[rater] : state.images[imageId]?.[rater]) ?? {};
    return outbox.overlay(this.runId, imageId, saved);
  }

  showOpinions() {
    this.jobStars?.show(this.opinion(null).rating ?? null);
    for (const [output, stars] of this.imageStars ?? []) stars.show(this.opinion(output.digest).rating ?? null);
    fill(
      this.opinions,
      buildFeedback(this.feedback, (digest) => this.nameImage(digest)),
    );
  }

  nameImage(digest) {
    const record = this.run.records.find(({ outputs }) => outputs.some((output) => output.digest === digest));
    return record ? `variant ${record.variant.index}` : digest.slice(7, 19);
  }

  /** Submit feedback on an image; on the run where `imageId` is null. */
  submit(imageId, input) {
    if (this.app.status.is_read_only) return;
    outbox.submit([{ run_id: this.runId, image_id: imageId, ...input }], [this.opinion(imageId)]);
    this.showOpinions();
  }

  rateCurrent(rating) {
    const output = finalOutputs(this.run.records[this.position] ?? { outputs: [] })[0];
    if (output) this.submit(output.digest, { rating });
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast(`Copied: ${text}`);
    } catch {
      toast(text);
    }
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
    if (!neighbours.length) return;
    fill(this.neighbours, buildNeighbours(neighbours));
  }

  undo() {
    if (!outbox.undo()) toast("Nothing to undo");
  }

  redo() {
    if (!outbox.redo()) toast("Nothing to redo");
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.run) return;
    if (this.gridBox.contains(event.target)) this.grid?.onKey(event);
    if (event.defaultPrevented) return;
    const step = { ArrowLeft: -1, h: -1, ArrowRight: 1, l: 1 }[event.key];
    if (step && event.target.getAttribute?.("type") !== "range")
      this.showVariant(Math.max(0, Math.min(this.run.records.length - 1, this.position + step)));
    else if (/^[0-5]$/.test(event.key)) this.rateCurrent(Number(event.key));
    else if (event.key === "Delete") this.rateCurrent(null);
    else if (event.key === "z") this.undo();
    else if (event.key === "Z") this.redo();
    else if (event.key === "v" && !this.app.status.is_read_only) this.verify();
    else if (event.key === "r") this.app.go(`/new?again=${this.runId}`);
    else if (event.key === "Escape") this.app.go("/jobs");
    else return;
    event.preventDefault();
  }
}
