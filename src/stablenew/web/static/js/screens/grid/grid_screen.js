// Images laid out by two of their settings: hover shows one large, a click rates, keys move from cell to cell.

import { getJson, outputUrl, postJson, runUrl, thumbnailUrl } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { plural } from "../../data/format.js";
import { showRedone, showUndone, submitFor } from "../../data/images/row_feedback.js";
import { queryOf } from "../../data/images/chosen_images.js";
import { settingTitle } from "../../data/images/image_facts.js";
import { showError, toast } from "../../parts/dialogs.js";
import { buildSelect, digitOf, fill, h, isShortcut, keyOf } from "../../parts/dom.js";
import { PictureLoader } from "../../parts/images/picture_loader.js";
import { buildStars } from "../../parts/stars.js";
import { saveSheet } from "./grid_sheet.js";
import { GridView } from "./grid_view.js";

const MAX_ROWS_PER_REQUEST = 100;
const AXES = ["y", "x", "panel", "across"];

/** An image as it is; where its file cannot be had, its thumbnail or the sign that there is none. */
function buildLarge({ run_id: runId, digest, prompt }) {
  const picture = h("img", { src: outputUrl(runId, digest), alt: prompt ?? "image" });
  picture.addEventListener("error", () => (picture.src = thumbnailUrl(runId, digest, 1024)), { once: true });
  return picture;
}

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, options) => new GridScreen(root, options);

class GridScreen {
  constructor(root, { app, search, onCell = null }) {
    this.root = root;
    /** Called with the image that is shown large, where the grid is part of another screen. */
    this.onCell = onCell;
    /** The cell whose image is to be shown large. */
    this.chosen = null;
    this.app = app;
    this.question = { query: search.get("q") ?? app.query ?? "" };
    for (const name of AXES) this.question[name] = search.get(name) ?? "";
    /** Rows of images by id. @type {Map<number, any>} */
    this.rows = new Map();
    /** The requests that other rows come with, by id. @type {Map<number, Promise<void>>} */
    this.coming = new Map();
    this.pictures = new PictureLoader();
  }

  close() {
    this.view?.close();
  }

  onQuery(query) {
    this.change({ query });
  }

  change(changes) {
    Object.assign(this.question, changes);
    if (this.onCell) return this.load();
    const { query, ...axes } = this.question;
    const given = Object.entries({ q: query, ...axes }).filter(([, value]) => value);
    return this.app.go(`/grid?${new URLSearchParams(given)}`);
  }

  async load() {
    try {
      this.grid = await getJson("/api/grid", this.question);
    } catch (error) {
      fill(this.root, h("div.page", h("h1", "Grid"), h("p.bad", error.message)));
      return;
    }
    this.render();
  }

  render() {
    const { grid } = this;
    const isThere = grid.x && grid.cells.length;
    this.words = h("span.soft", { role: "status" });
    this.large = h(
      "aside.grid-large",
      { "aria-label": "The image" },
      h("p.soft", "Hover over a cell, tap it, or move with the arrow keys."),
    );
    const room = h("div.grid-room", { tabindex: 0, role: "application", "aria-label": "Grid of images" });
    fill(
      this.root,
      h(
        "section.grid-screen",
        { "aria-label": "Grid" },
        isThere ? h(this.onCell ? "h2.sr-only" : "h1.sr-only", "Grid") : null,
        h(
          "div.grid-bar",
          AXES.map((name) => this.buildChoice(name)),
          (this.tools = h("span.grid-tools")),
          this.words,
        ),
        isThere
          ? h("div.grid-body", room, this.large)
          : h(
              "div.page",
              h("h1", "Grid"),
              h("p", "No setting varies among these images. Search for more of them, or choose the settings above."),
            ),
      ),
    );
    if (!isThere) return;
    this.view = new GridView(room, grid, {
      draw: (node, cell) => this.draw(node, cell),
      onMove: (cell) => this.showLarge(cell),
      onRest: (cells) => this.request(cells),
      onRate: (cell) => this.go(cell),
      loader: this.pictures,
    });
    this.view.start();
    fill(this.tools, this.buildTools());
    this.say(grid);
    this.go(this.view.firstCell);
  }

  say({ image_count: count, left_out: left }) {
    const { holes } = this.view;
    const parts = [
      plural(count, "image"),
      holes ? plural(holes, "hole") : "",
      left ? `${left} without these settings` : "",
    ];
    this.words.textContent = parts.filter(Boolean).join(" · ");
  }

  buildChoice(name) {
    const known = this.grid.axes;
    const chosen = this.grid[name]?.name ?? "";
    const label = { x: "Across", y: "Down", panel: "Panels down", across: "Panels across" }[name];
    const options = known.map((axis) => [axis.name, `${settingTitle(axis.name)} (${axis.value_count})`]);
    if (chosen && !known.some((axis) => axis.name === chosen)) options.push([chosen, settingTitle(chosen)]);
    const select = buildSelect(
      [["", name === "x" ? "choose" : "none"], ...options],
      chosen,
      (value) => this.change({ ...this.chosenAxes, [name]: value }),
      { id: `grid-${name}` },
    );
    return h("span", h("label", { for: `grid-${name}` }, `${label} `), select);
  }

  /** What the axes are now, whether somebody chose them or not. */
  get chosenAxes() {
    return Object.fromEntries(AXES.map((name) => [name, this.grid[name]?.name ?? ""]));
  }

  isAxis(setting) {
    return Object.values(this.chosenAxes).includes(setting);
  }

  buildTools() {
    const parameters = new URLSearchParams(Object.entries(this.question).filter(([, value]) => value));
    const link = (path, text) => h("a.button.quiet", { href: `/api/grid/${path}?${parameters}`, download: "" }, text);
    const save = async () => {
      const isWhole = await saveSheet(this.view, this.rows, (cells) => this.request(cells));
      if (!isWhole) toast("The sheet holds the first part: a picture cannot be larger");
    };
    const { can_fill: canFill } = this.grid;
    return [
      h("button.quiet", { click: save }, "Save as PNG"),
      this.app.status.device ? null : link("data", "Save as CSV"),
      canFill && !this.app.status.is_read_only
        ? h("button", { click: () => this.fillHoles() }, `Fill ${plural(this.view.holes, "hole")}`)
        : null,
      canFill ? link("plan", "Save as plan") : null,
    ];
  }

  /** Run what the empty cells lack, with the engine that made the others. */
  async fillHoles() {
    try {
      const { running } = await postJson("/api/grid/fill", this.question);
      toast(`Started: ${plural(running[0].total, "image")}`, {
        action: "Show",
        onAction: () => this.app.go("/new"),
      });
    } catch (error) {
      showError(error);
    }
  }

  /** Load the images on top of these cells; those that are on their way are waited for. */
  async request(cells) {
    const ids = cells.map((cell) => cell.images[cell.top ?? 0]);
    const missing = ids.filter((id) => !this.rows.has(id) && !this.coming.has(id));
    for (let at = 0; at < missing.length; at += MAX_ROWS_PER_REQUEST)
      this.loadRows(missing.slice(at, at + MAX_ROWS_PER_REQUEST));
    await Promise.all(ids.map((id) => this.coming.get(id)));
    const first = this.rows.get(missing[0]);
    if (first?.width && first.height) this.view.setRatio(first.height / first.width);
    if (missing.length) this.view.redraw();
  }

  loadRows(ids) {
    const load = async () => {
      try {
        const { images } = await getJson("/api/images/rows", { ids: ids.join(",") });
        for (const [place, row] of images.entries())
          if (row) this.rows.set(ids[place], { ...row, opinion: outbox.overlay(row.run_id, row.digest, row.mine) });
      } finally {
        ids.forEach((id) => this.coming.delete(id)); // what did not come is asked for the next time
      }
    };
    const loading = load();
    ids.forEach((id) => this.coming.set(id, loading));
  }

  rowOf(cell) {
    return cell ? this.rows.get(cell.images[cell.top ?? 0]) : null;
  }

  /** Fill a cell that came into view. */
  draw(node, cell) {
    const row = this.rowOf(cell);
    const { picture } = node;
    if (row) {
      const size = Math.max(this.view.cell.width, this.view.cell.height) * (window.devicePixelRatio || 1);
      this.pictures.show(picture, thumbnailUrl(row.run_id, row.digest, size > 400 ? 1024 : 320));
    } else this.pictures.clear(picture);
    picture.alt = this.view.titleOf(cell);
    node.count.textContent = cell.count > 1 ? String(cell.count) : "";
    node.count.hidden = cell.count < 2;
    const rating = row?.opinion.rating;
    const mark = { pick: " ⚑", reject: " ✕" }[row?.opinion.flag] ?? "";
    node.mine.textContent = `${rating ? "★".repeat(rating) : rating === 0 ? "0" : ""}${mark}`;
    node.mine.hidden = !node.mine.textContent;
  }

  go(cell) {
    this.view.moveTo(cell);
    this.showLarge(cell);
  }

  /** Choose the cell of the image that the screen around the grid shows, and none until it is known. */
  async follow(isShown) {
    const { view } = this;
    if (!view) return;
    view.cursor = null;
    this.chosen = null;
    const cells = [...view.cells.values()];
    await this.request(cells);
    const cell = cells.find((each) => this.rowOf(each) && isShown(this.rowOf(each)));
    if (cell && !this.chosen) this.go(cell);
  }

  async showLarge(cell) {
    if (!cell) return;
    this.chosen = cell;
    await this.request([cell]);
    const row = this.rowOf(cell);
    if (!row || cell !== this.chosen) return;
    this.onCell?.(row);
    const stars = buildStars(this.view.titleOf(cell), (rating) => this.rate(cell, { rating }), {
      isReadOnly: this.app.status.is_read_only,
      inTabOrder: true,
    });
    stars.show(row.opinion.rating ?? null);
    fill(
      this.large,
      buildLarge(row),
      h(
        "p",
        stars,
        " ",
        h("b", this.view.titleOf(cell)),
        cell.count > 1 ? ` · ${(cell.top ?? 0) + 1} of ${cell.count}` : "",
        row.settings.seed === undefined ? "" : ` · seed ${row.settings.seed}`,
      ),
      this.isAxis("prompt") ? null : h("p.soft", (row.prompt ?? "").slice(0, 160)),
    );
  }

  rate(cell, input) {
    const row = this.rowOf(cell);
    if (!row || this.app.status.is_read_only) return;
    submitFor(row, input);
    this.showOpinions(cell);
  }

  undo() {
    showUndone(outbox.undo(), this.rows.values());
    this.showOpinions(this.view.cursor);
  }

  redo() {
    showRedone(outbox.redo(), this.rows.values());
    this.showOpinions(this.view.cursor);
  }

  showOpinions(cell) {
    this.view.redraw();
    this.showLarge(cell);
  }

  /** The images of a stack, or the image and its neighbour. */
  async compare(cell) {
    const next = this.view.neighbour(cell, 1, 0) ?? this.view.neighbour(cell, -1, 0);
    const cells = cell.count > 1 ? cell.images.slice(0, 4).map((_, top) => ({ ...cell, top })) : [cell, next];
    await this.request(cells.filter(Boolean));
    const rows = cells.map((one) => this.rowOf(one)).filter(Boolean);
    if (rows.length > 1) this.app.go(`/compare?q=${encodeURIComponent(queryOf(rows))}`);
  }

  onKey(event) {
    if (!this.view || isShortcut(event)) return;
    const cell = this.view.cursor;
    const key = keyOf(event);
    const rating = Number(digitOf(event) ?? NaN);
    const isInGrid = (event.target === document.body && !this.onCell) || this.view.room.contains(event.target);
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const inCell = {
      p: () => this.rate(cell, { flag: "pick" }),
      x: () => this.rate(cell, { flag: "reject" }),
      u: () => this.rate(cell, { flag: null }),
      c: () => this.compare(cell),
      Enter: () => this.app.go(runUrl(this.rowOf(cell)?.run_id)),
    };
    const general = {
      "+": () => this.view.zoomBy(1.25),
      "=": () => this.view.zoomBy(1.25),
      "<": () => this.view.zoomBy(0.8),
      z: () => (event.shiftKey ? this.redo() : this.undo()),
    };
    let action = general[key];
    if (step && isInGrid) action = () => this.go(this.view.step(step[0], step[1]));
    else if (rating <= 5 && cell) action = () => this.rate(cell, { rating });
    else if (key === "Tab" && cell?.count > 1 && isInGrid && !event.shiftKey)
      action = () => {
        cell.top = ((cell.top ?? 0) + 1) % cell.images.length;
        this.showLarge(cell).then(() => this.view.redraw());
      };
    else if (cell && isInGrid) action ??= inCell[key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
