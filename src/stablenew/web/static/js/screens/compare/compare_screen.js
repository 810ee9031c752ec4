// Two to four images beside or on each other, and only what differs between them.

import { outbox } from "../../data/feedback_outbox.js";
import { differingSettings, listSettings, markDifferences } from "../../data/images/image_facts.js";
import { showRedone, showUndone, submitFor } from "../../data/images/row_feedback.js";
import { loadImages } from "../../data/images/chosen_images.js";
import { toast } from "../../parts/dialogs.js";
import { digitOf, fill, h, isShortcut, keyOf, link } from "../../parts/dom.js";
import { buildStars } from "../../parts/stars.js";
import { MODES, Panes } from "./panes.js";

const MOST = 4;
const KEY_OF_MODE = { s: MODES[0], w: MODES[1], f: MODES[2], d: MODES[3] };

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new CompareScreen(root, app, search.get("q") ?? app.query ?? "");

class CompareScreen {
  constructor(root, app, query) {
    this.root = root;
    this.app = app;
    this.query = query;
    this.active = 0;
    this.rows = [];
    this.panes = new Panes((columns, isWrapped) => this.line(columns, isWrapped));
  }

  close() {
    this.panes.close();
  }

  onQuery(query) {
    this.app.go(`/compare?q=${encodeURIComponent(query)}`);
  }

  async load() {
    const { rows, total } = await loadImages(this.query, MOST);
    this.rows = rows;
    if (rows.length < 2) {
      fill(
        this.root,
        h(
          "div.page",
          h("h1", "Compare"),
          h("p", "Select two to four images on the ", link("/", "wall"), " and press C."),
        ),
      );
      return;
    }
    this.modes = MODES.map((mode) =>
      h(
        "button.quiet",
        { "aria-pressed": String(mode === MODES[0]), click: () => this.setMode(mode) },
        mode[0].toUpperCase() + mode.slice(1),
      ),
    );
    this.facts = h("div.compare-facts", { tabindex: 0, role: "region", "aria-label": "What differs" });
    fill(
      this.root,
      (this.section = h(
        "section.compare",
        { "aria-label": "Compare" },
        h("h1.sr-only", "Compare"),
        h(
          "div.compare-bar",
          { role: "toolbar", "aria-label": "How to compare" },
          rows.length === 2 ? this.modes : null,
          h("button.quiet", { click: () => this.panes.fit() }, "Fit"),
          h("span.soft", total > MOST ? `the first ${MOST} of ${total} images` : ""),
        ),
        this.panes.stage,
        this.facts,
      )),
    );
    this.panes.compare(rows);
    this.render();
  }

  /** Put the columns of the table under those of the pictures; numbers tell what goes together where there are rows. */
  line(columns, isWrapped) {
    this.section.style.setProperty("--columns", String(Math.max(2, columns)));
    this.section.classList.toggle("wrapped", isWrapped);
  }

  setMode(mode) {
    if (this.rows.length !== 2) return;
    this.modes.forEach((button, place) => button.setAttribute("aria-pressed", String(MODES[place] === mode)));
    this.panes.compare(this.rows, mode);
  }

  render() {
    const { rows } = this;
    const differing = new Set(rows.flatMap((row) => [...differingSettings(row, rows)]));
    const settings = rows.map(
      (row) => new Map(listSettings(row).map(([name, title, value]) => [name, { title, value }])),
    );
    const names = [...new Set(settings.flatMap((values) => [...values.keys()]))].filter((name) => differing.has(name));
    const titleOf = (name) => settings.map((values) => values.get(name)?.title).find(Boolean) ?? name;
    // Roles are named because rows that are laid out as grids lose them.
    const line = (title, build, name = "") =>
      h(
        "tr",
        { role: "row" },
        h("th.sr-only", { role: "rowheader" }, title),
        rows.map((row, place) =>
          h(
            "td",
            { class: name, role: "cell" },
            name === "answer" ? null : h("span.fact-name", { "aria-hidden": "true" }, title),
            h("div", build(row, place)),
          ),
        ),
      );
    const isSame = (name) => rows.every((row) => (row[name] ?? "") === (rows[0][name] ?? ""));
    fill(
      this.facts,
      h(
        "table",
        { role: "table" },
        h(
          "tbody",
          { role: "rowgroup" },
          line("Yours", (row, place) => this.buildAnswer(row, place), "answer"),
          names.map((name) => line(titleOf(name), (_, place) => settings[place].get(name)?.value ?? "")),
          isSame("prompt") ? null : line("Prompt", (row, place) => this.buildText("prompt", row, place), "words"),
          isSame("negative") ? null : line("Negative", (row, place) => this.buildText("negative", row, place), "words"),
        ),
      ),
      names.length || !isSame("prompt") ? null : h("p.soft", "No known setting differs."),
    );
  }

  /** A text with what is not in the first image's marked; of the first, what is not in the second's. */
  buildText(name, row, place) {
    const before = this.rows[place ? 0 : 1][name] ?? "";
    const parts = markDifferences(row[name] ?? "", before);
    return parts.map(({ text, isNew }) => (isNew ? h("mark", text) : text));
  }

  buildAnswer(row, place) {
    const isReadOnly = this.app.status.is_read_only;
    const name = `Picture ${place + 1}`;
    const stars = buildStars(name, (rating) => this.say(place, { rating }), { isReadOnly, inTabOrder: true });
    stars.show(row.opinion.rating ?? null, name);
    const flag = { pick: "picked", reject: "rejected" }[row.opinion.flag];
    return h(
      "div",
      { class: place === this.active ? "answer-cell active" : "answer-cell" },
      h(
        "b",
        place === this.active ? { "aria-label": "keys are about this picture", title: "Keys rate this picture" } : {},
        place === this.active ? "▸" : "",
      ),
      h("span.number", { "aria-hidden": "true" }, place + 1),
      stars,
      " ",
      isReadOnly
        ? null
        : h("button.quiet", { title: "Better than the others here (B)", click: () => this.prefer(place) }, "Better"),
      flag ? h("span.soft", ` ${flag}`) : null,
    );
  }

  say(place, input) {
    if (this.app.status.is_read_only) return;
    const row = this.rows[place];
    submitFor(row, input);
    this.render();
  }

  /** One picture is better than each of the others. */
  prefer(place) {
    if (this.app.status.is_read_only) return;
    const winner = this.rows[place];
    for (const loser of this.rows.filter((row) => row !== winner))
      outbox.vote({
        winner_run_id: winner.run_id,
        winner: winner.digest,
        loser_run_id: loser.run_id,
        loser: loser.digest,
        outcome: "win",
        shown: this.rows.length === 2 ? (place ? "right" : "left") : null,
      });
    toast(`Picture ${place + 1} is better`, { action: "Undo", onAction: () => this.undo() });
  }

  undo() {
    showUndone(outbox.undo(), this.rows);
    this.render();
  }

  redo() {
    showRedone(outbox.redo(), this.rows);
    this.render();
  }

  onKey(event) {
    if (isShortcut(event) || !this.rows.length) return;
    const key = keyOf(event);
    const rating = Number(digitOf(event) ?? NaN);
    const actions = {
      ArrowLeft: () => this.activate(this.active - 1),
      ArrowRight: () => this.activate(this.active + 1),
      b: () => this.prefer(this.active),
      p: () => this.say(this.active, { flag: "pick" }),
      x: () => this.say(this.active, { flag: "reject" }),
      u: () => this.say(this.active, { flag: null }),
      z: () => (event.shiftKey ? this.redo() : this.undo()),
      ".": () => this.panes.fit(),
      Escape: () => history.back(),
    };
    const action =
      rating <= 5
        ? () => this.say(this.active, { rating })
        : (actions[key] ?? (KEY_OF_MODE[key] ? () => this.setMode(KEY_OF_MODE[key]) : null));
    if (!action) return;
    event.preventDefault();
    action();
  }

  activate(place) {
    this.active = (place + this.rows.length) % this.rows.length;
    this.render();
  }
}
