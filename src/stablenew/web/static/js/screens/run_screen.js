// One run: what was asked, what really ran, what came out, what people think of it.

import { getJson, outputUrl, postJson, runUrl, thumbnailUrl } from "../data/api.js";
import { toast } from "../parts/dialogs.js";
import { fill, h } from "../parts/dom.js";
import { formatBytes, formatDuration, formatLongTime, plural } from "../data/format.js";
import { live } from "../data/live.js";
import { outbox } from "../data/feedback_outbox.js";
import {
  buildImages,
  buildSettings,
  buildTiming,
  describeEvent,
  finalOutputs,
  momentOf,
} from "../parts/record_view.js";
import { buildStars } from "../parts/stars.js";

const KEYS = [
  [
    "Run",
    [
      ["← →", "the variant before, the next (also h l)"],
      ["0 5", "rate the image"],
      ["Delete", "take its rating away"],
      ["z", "undo"],
      ["Z", "redo"],
      ["v", "verify now"],
      ["r", "run it again"],
      ["Esc", "back to history"],
    ],
  ],
];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { match, app }) => new RunScreen(root, app, decodeURIComponent(match[1]));

class RunScreen {
  constructor(root, app, runId) {
    this.root = root;
    this.app = app;
    this.runId = runId;
    this.keys = KEYS;
    this.place = 0;
    this.report = null;
    this.stops = [
      live.on("changes", ({ changes }) => {
        if (changes.some((change) => change.run_id === runId)) this.reload();
      }),
    ];
    outbox.addEventListener(
      "change",
      (this.onSaved = () => {
        if (!outbox.unsaved) this.loadFeedback();
      }),
    );
  }

  close() {
    this.stops.forEach((stop) => stop());
    outbox.removeEventListener("change", this.onSaved);
  }

  async load() {
    try {
      this.run = await getJson(`/api/runs/${this.runId}`);
    } catch (error) {
      fill(
        this.root,
        h(
          "div",
          { class: "page" },
          h("h1", {}, "Run"),
          h("p", { class: "bad" }, error.message),
          h("a", { "data-link": true, href: "/" }, "Back to history"),
        ),
      );
      if (error.status !== 404) throw error;
      return;
    }
    this.feedback = this.run.feedback;
    this.build();
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
    const isReadOnly = this.app.status.is_read_only;
    document.title = `${run.packs.join(", ") || run.run_id} · StableNew`;
    this.jobStars = buildStars("Rating of the run", (rating) => this.say(null, { rating }), {
      isReadOnly,
      inTabOrder: true,
    });
    this.verdict = h("span", { role: "status" });
    this.variantBox = h("section", { class: "panel", "aria-label": "Variant" });
    this.strip = h("div", { class: "strip" });
    this.opinions = h("section", { class: "panel" });
    this.near = h("section", { hidden: true });
    const command = `stablenew run --again ${run.run_id} --record`;
    fill(
      this.root,
      h(
        "div",
        { class: "page" },
        h("a", { "data-link": true, href: "/" }, "← History"),
        h("h1", {}, run.packs.join(", ") || run.one_click_action || run.run_id),
        h(
          "div",
          { class: "actions" },
          h("span", { class: "status", "data-status": run.status }, run.status),
          this.jobStars,
          h("a", { class: "button", "data-link": true, href: `/new?again=${run.run_id}` }, "Reproduce"),
          h("a", { class: "button", "data-link": true, href: `/new?again=${run.run_id}&vary=1` }, "Vary"),
          h("button", { type: "button", on: { click: () => this.copy(command) } }, "Copy command"),
          h("button", { type: "button", disabled: isReadOnly, on: { click: () => this.openFolder() } }, "Open folder"),
          h("button", { type: "button", disabled: isReadOnly, on: { click: () => this.verify() } }, "Verify now"),
          this.verdict,
        ),
        run.problem ? h("p", { class: "bad" }, run.problem) : null,
        run.problems.map((problem) => h("p", { class: "bad" }, problem)),
        ["interrupted", "incomplete"].includes(run.state)
          ? h(
              "p",
              { class: "panel" },
              run.state === "interrupted"
                ? "This run was cut off before its end. "
                : "Part of this run is not here yet. ",
              run.state === "interrupted" && !isReadOnly
                ? h("button", { type: "button", on: { click: () => this.repair() } }, "Repair")
                : null,
            )
          : null,
        h(
          "p",
          { class: "soft" },
          [
            formatLongTime(run.created_at),
            formatDuration(run.duration_seconds),
            run.engine,
            `${run.records.length} of ${plural(run.plan_size ?? run.records.length, "variant")}`,
          ]
            .filter(Boolean)
            .join(" · "),
        ),
        h("div", { class: "strip-box" }, this.strip),
        this.variantBox,
        h("h2", {}, "What people think"),
        this.opinions,
        this.near,
        h("h2", {}, "The run"),
        this.buildFacts(),
      ),
    );
    this.buildStrip();
    this.showVariant(Math.min(this.place, Math.max(0, run.records.length - 1)));
    this.showOpinions();
    this.loadNeighbours();
  }

  buildFacts() {
    const { run } = this;
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
    ].filter(([, value]) => value);
    return h(
      "div",
      { class: "panel" },
      h(
        "dl",
        { class: "pairs" },
        pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
      run.metadata
        ? h(
            "details",
            {},
            h("summary", {}, "The whole config as it was before the run"),
            h("pre", {}, h("code", {}, JSON.stringify(run.metadata.config, null, 2))),
          )
        : null,
    );
  }

  buildStrip() {
    fill(
      this.strip,
      this.run.records.map((record, place) => {
        const output = finalOutputs(record)[0];
        const name = `Variant ${record.variant.index + 1}${record.variant.label ? `, ${record.variant.label}` : ""}, ${record.status}`;
        return h(
          "button",
          {
            type: "button",
            "aria-label": name,
            title: name,
            "aria-pressed": "false",
            on: { click: () => this.showVariant(place) },
          },
          output
            ? h("img", { alt: "", loading: "lazy", src: thumbnailUrl(this.runId, output.digest, 320) })
            : record.status,
        );
      }),
    );
    if (!this.run.records.length) fill(this.strip, h("p", { class: "hint" }, "No variant is recorded yet."));
  }

  showVariant(place) {
    this.place = place;
    [...this.strip.children].forEach((button, index) => {
      if (button.tagName !== "BUTTON") return;
      button.setAttribute("aria-pressed", String(index === place));
      if (index === place) button.scrollIntoView({ block: "nearest" });
    });
    const record = this.run.records[place];
    this.variantBox.hidden = !record;
    if (!record) return;
    this.imageStars = [];
    fill(
      this.variantBox,
      h(
        "div",
        { class: "variant" },
        h(
          "div",
          {},
          buildImages(this.runId, record),
          finalOutputs(record).map((output, number) => this.buildRating(output, number)),
        ),
        h(
          "div",
          {},
          h(
            "p",
            {},
            h("strong", {}, `Variant ${record.variant.index + 1} of ${record.variant.total}`),
            record.variant.label ? `: ${record.variant.label}` : "",
          ),
          record.error ? h("p", { class: "bad" }, record.error.message) : null,
          h("p", {}, record.prompt.positive),
          record.prompt.negative ? h("p", { class: "soft" }, `not: ${record.prompt.negative}`) : null,
          buildSettings(record),
          buildTiming(record),
        ),
      ),
    );
    this.showOpinions();
  }

  buildRating(output, number) {
    const stars = buildStars(`Rating of image ${number + 1}`, (rating) => this.say(output.digest, { rating }), {
      isReadOnly: this.app.status.is_read_only,
      inTabOrder: true,
    });
    this.imageStars.push([output, stars]);
    return h(
      "div",
      { class: "actions" },
      stars,
      h("a", { href: outputUrl(this.runId, output.digest), target: "_blank", rel: "noreferrer" }, "Original"),
      h(
        "span",
        { class: "soft" },
        [
          output.width ? `${output.width} × ${output.height}` : null,
          formatBytes(output.size_bytes),
          output.seed !== undefined ? `seed ${output.seed}` : null,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    );
  }

  opinion(imageId) {
    const { state, rater } = this.feedback;
    const said = (imageId === null ? state.run[rater] : state.images[imageId]?.[rater]) ?? {};
    return outbox.overlay(this.runId, imageId, said);
  }

  showOpinions() {
    this.jobStars?.show(this.opinion(null).rating ?? null);
    for (const [output, stars] of this.imageStars ?? []) stars.show(this.opinion(output.digest).rating ?? null);
    const events = [...this.feedback.events].reverse();
    fill(
      this.opinions,
      events.length
        ? h(
            "table",
            {},
            h("caption", { class: "sr-only" }, "Everything said, the latest first"),
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["When", "Who", "Of", "What"].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h(
              "tbody",
              {},
              events
                .slice(0, 200)
                .map((event) =>
                  h(
                    "tr",
                    {},
                    h("td", {}, formatLongTime(momentOf(event))),
                    h("td", {}, event.rater),
                    h("td", {}, event.image_id ? this.nameImage(event.image_id) : "the run"),
                    h("td", {}, describeEvent(event)),
                  ),
                ),
            ),
          )
        : h("p", { class: "hint" }, "Nothing said yet."),
      this.feedback.problems.map((problem) => h("p", { class: "bad" }, problem)),
    );
  }

  nameImage(digest) {
    const record = this.run.records.find((one) => one.outputs.some((output) => output.digest === digest));
    return record ? `variant ${record.variant.index + 1}` : digest.slice(7, 19);
  }

  say(imageId, said) {
    if (this.app.status.is_read_only) return;
    outbox.submit([{ run_id: this.runId, image_id: imageId, ...said }], [this.opinion(imageId)]);
    this.showOpinions();
  }

  rateCurrent(rating) {
    const output = finalOutputs(this.run.records[this.place] ?? { outputs: [] })[0];
    if (output) this.say(output.digest, { rating });
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
      fill(
        this.verdict,
        h(
          "span",
          { class: report.ok ? "ok" : "bad" },
          report.ok ? `✓ as recorded, verified at ${formatLongTime(report.verified_at)}` : "✗ not as recorded",
        ),
        h("span", { class: "soft" }, ` ${plural(report.files, "file")}, ${formatBytes(report.size_bytes)}`),
        report.findings.map((one) =>
          h("div", { class: `finding-${one.severity}` }, `${one.code} ${one.path}: ${one.message}`),
        ),
      );
    } catch (error) {
      fill(this.verdict, h("span", { class: "bad" }, error.message));
    }
  }

  async repair() {
    const { runs } = await postJson("/api/repair", { run_ids: [this.runId] });
    toast(runs[0].actions.map((action) => `${action.code} ${action.message}`).join("; ") || "Nothing to repair");
    await this.load();
  }

  async loadNeighbours() {
    const { neighbours } = await getJson(`/api/runs/${this.runId}/neighbours`).catch(() => ({ neighbours: [] }));
    this.near.hidden = !neighbours.length;
    if (!neighbours.length) return;
    fill(
      this.near,
      h("h2", {}, "Differs in one setting"),
      h(
        "div",
        { class: "panel" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Setting", "Here", "There", "Run"].map((name) => h("th", { scope: "col" }, name)),
            ),
          ),
          h(
            "tbody",
            {},
            neighbours
              .slice(0, 12)
              .map((one) =>
                h(
                  "tr",
                  {},
                  h("td", {}, one.setting),
                  h("td", {}, String(one.value ?? "")),
                  h("td", {}, String(one.other_value ?? "")),
                  h("td", {}, h("a", { "data-link": true, href: runUrl(one.other_run_id) }, one.other_run_id)),
                ),
              ),
          ),
        ),
      ),
    );
  }

  step(name) {
    const entry = outbox[name]();
    if (!entry) toast(`Nothing to ${name}`);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.run) return;
    const step = { ArrowLeft: -1, h: -1, ArrowRight: 1, l: 1 }[event.key];
    if (step && event.target.getAttribute?.("type") !== "range")
      this.showVariant(Math.max(0, Math.min(this.run.records.length - 1, this.place + step)));
    else if (/^[0-5]$/.test(event.key)) this.rateCurrent(Number(event.key));
    else if (event.key === "Delete") this.rateCurrent(null);
    else if (event.key === "z") this.step("undo");
    else if (event.key === "Z") this.step("redo");
    else if (event.key === "v" && !this.app.status.is_read_only) this.verify();
    else if (event.key === "r") this.app.go(`/new?again=${this.runId}`);
    else if (event.key === "Escape") this.app.go("/");
    else return;
    event.preventDefault();
  }
}
