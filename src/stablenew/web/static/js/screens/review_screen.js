// Review: look at images one after the other and say what you think, as fast as you can press keys.

import { getJson, runUrl, thumbnailUrl } from "../data/api.js";
import { askText, showEmpty, toast } from "../parts/dialogs.js";
import { fill, h, setText } from "../parts/dom.js";
import { formatCount, plural } from "../data/format.js";
import { buildDots, describe, flagText, shownTags } from "../parts/image_words.js";
import { getItem, setItem } from "../data/local_storage.js";
import { Loupe } from "../parts/loupe.js";
import { QueryBox } from "../parts/query_box.js";
import { outbox } from "../data/feedback_outbox.js";
import { applyFeedback } from "../data/opinions.js";
import { isRated, Snapshot } from "../data/snapshot.js";
import { VirtualList } from "../parts/virtual_list.js";

const COLOURS = { 6: "red", 7: "yellow", 8: "green", 9: "blue" };
const MOST_SELECTED = 2000;
const PACE_MILLISECONDS = 120_000;
const KEYS = [
  [
    "Review",
    [
      ["0 5", "rate 0 to 5 and go on"],
      ["Delete", "take the rating away"],
      ["p", "pick"],
      ["x", "reject"],
      ["u", "neither"],
      ["6 9", "red, yellow, green, blue"],
      ["t", "tags"],
      ["n", "note"],
      ["z", "undo"],
      ["Z", "redo"],
      ["← ↑ ↓ →", "move (also h k j l)"],
      ["Shift ←→", "select several"],
      ["Home End", "first, last"],
      ["PgUp PgDn", "a page"],
      ["]", "next unrated"],
      ["[", "unrated before"],
      ["Space", "large view"],
      ["c", "compare: hold this image, move on"],
      ["f", "full size, fitted"],
      ["CapsLock", "go on after rating: on, off (also a)"],
      ["Enter", "show the run"],
      ["Esc", "back"],
      ["/", "search"],
    ],
  ],
];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new ReviewScreen(root, app, search);

class ReviewScreen {
  constructor(root, app, search) {
    this.app = app;
    this.query = search.get("q") ?? "";
    this.startAt = Number(search.get("at") ?? 0);
    this.isLarge = search.get("view") === "large";
    this.keys = KEYS;
    this.cursor = 0;
    this.anchor = 0;
    /** @type {Set<number>} */
    this.selected = new Set();
    this.goesOn = getItem("stablenew:auto-advance") !== "off";
    this.ratedTimes = [];
    this.ratedNow = 0;
    this.turn = Promise.resolve();
    this.waiting = 0;
    this.snapshot = new Snapshot(this.query);
    this.build(root);
    this.abort = new AbortController();
  }

  build(root) {
    root.className = "screen review";
    this.box = new QueryBox({
      query: this.query,
      onChange: (query) => this.app.go(`/review${query ? `?q=${encodeURIComponent(query)}` : ""}`),
    });
    this.pace = h("span", { class: "pace", role: "status" });
    this.place = h("span", { class: "soft" });
    this.onwards = h("input", {
      type: "checkbox",
      id: "onwards",
      on: { change: () => this.setOnwards(this.onwards.checked) },
    });
    this.onwards.checked = this.goesOn;
    this.largeButton = h(
      "button",
      { type: "button", "aria-pressed": "false", on: { click: () => this.setLarge(!this.isLarge) } },
      "Large view",
    );
    this.bar = h(
      "div",
      { class: "review-bar" },
      this.box.element,
      this.pace,
      this.place,
      h("label", { class: "switch", for: "onwards" }, this.onwards, "go on after rating"),
      this.largeButton,
      h("button", { type: "button", on: { click: () => this.goUnrated(1) } }, "Next unrated ", h("kbd", {}, "]")),
      this.app.status.is_read_only ? null : buildHint(),
    );
    this.layer = h("div", {
      class: "cells",
      role: "listbox",
      tabindex: 0,
      "aria-label": "Images",
      "aria-multiselectable": "true",
    });
    this.viewport = h("div", { class: "viewport" }, this.layer);
    this.empty = h("div", { class: "empty", hidden: true });
    this.loupe = new Loupe(this.snapshot, {
      isReadOnly: this.app.status.is_read_only,
      onRate: (rating) => this.rate(rating, { clicked: true }),
    });
    fill(
      root,
      h("h1", { class: "sr-only" }, "Review"),
      this.bar,
      h("div", { class: "review-body" }, this.viewport, this.empty, this.loupe.element),
    );
    this.list = new VirtualList(this.viewport, this.layer, {
      itemHeight: () => (window.innerWidth <= 700 ? 170 : 220),
      columns: () => Math.max(2, Math.floor(this.viewport.clientWidth / (window.innerWidth <= 700 ? 150 : 220))),
      create: () => this.createCell(),
      show: (node, index) => this.showCell(node, index),
      onRange: (first, last) => this.need(first, last),
    });
  }

  close() {
    this.list.close();
    this.loupe.close();
    this.abort.abort();
    clearInterval(this.paceTimer);
  }

  async load() {
    try {
      await this.snapshot.load(this.abort.signal);
    } catch (error) {
      if (error.status === 422) return this.box.apply();
      throw error;
    }
    const { length } = this.snapshot;
    this.viewport.hidden = !length;
    if (!length) {
      showEmpty(
        this.empty,
        this.query ? "No image fits this search" : "No images yet",
        h(
          "p",
          {},
          this.query
            ? h("a", { "data-link": true, href: "/review" }, "Review all images")
            : h("a", { class: "button primary", "data-link": true, href: "/new" }, "Make a run"),
        ),
      );
      this.showPace();
      return;
    }
    this.list.setCount(length);
    this.moveTo(Math.max(0, Math.min(length - 1, this.startAt)));
    this.layer.focus();
    if (this.isLarge) await this.setLarge(true);
    this.showPace();
    this.paceTimer = setInterval(() => this.showPace(), 5000);
  }

  remember() {
    const parameters = new URLSearchParams();
    if (this.query) parameters.set("q", this.query);
    if (this.cursor) parameters.set("at", String(this.cursor));
    if (this.isLarge) parameters.set("view", "large");
    const text = parameters.toString();
    this.app.remember(text ? `/review?${text}` : "/review");
  }

  async need(first, last) {
    this.range = [first, last];
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      for (let asked = null; asked !== this.range;) {
        asked = this.range;
        if (await this.snapshot.need(...asked)) this.list.refreshAll();
      }
    } catch {
      setTimeout(() => this.list.render(true), 1000);
    } finally {
      this.isAsking = false;
    }
  }

  createCell() {
    const image = h("img", { alt: "", decoding: "async", draggable: "false" });
    const marks = h("span", { class: "marks" });
    const node = h("div", { class: "cell", role: "option" }, h("div", { class: "frame" }, image, marks));
    node.parts = { image, marks };
    node.addEventListener("click", (event) => this.clicked(event, node.index));
    node.addEventListener("dblclick", () => this.setLarge(true));
    return node;
  }

  showCell(node, index) {
    const image = this.snapshot.image(index);
    node.index = index;
    node.id = `cell-${index}`;
    node.setAttribute("aria-setsize", String(this.snapshot.length));
    node.setAttribute("aria-posinset", String(index + 1));
    node.setAttribute("aria-selected", String(this.selected.has(index)));
    node.classList.toggle("cursor", index === this.cursor);
    node.classList.toggle("rejected", image?.opinion.flag === "reject");
    node.setAttribute("aria-label", image ? describe(image, index) : `Image ${index + 1}`);
    const { image: picture, marks } = node.parts;
    const source = image && !image.isGone ? thumbnailUrl(image.run_id, image.digest, 320) : "";
    if (!source) picture.removeAttribute("src");
    else if (picture.getAttribute("src") !== source) picture.src = source;
    showMarks(marks, image);
  }

  clicked(event, index) {
    if (event.shiftKey) this.selectTo(index);
    else if (event.ctrlKey || event.metaKey) {
      if (!this.selected.size) this.selected.add(this.cursor);
      if (!this.selected.delete(index)) this.selected.add(index);
      this.moveTo(index, { keepsSelection: true });
    } else this.moveTo(index);
  }

  selectTo(index) {
    const [low, high] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    const last = Math.min(high, low + MOST_SELECTED - 1);
    this.selected = new Set(Array.from({ length: last - low + 1 }, (_, step) => low + step));
    this.moveTo(index, { keepsSelection: true });
  }

  moveTo(index, { keepsSelection = false } = {}) {
    if (index < 0 || index >= this.snapshot.length) return;
    const before = this.cursor;
    this.cursor = index;
    if (!keepsSelection) {
      this.anchor = index;
      if (this.selected.size) {
        this.selected.clear();
        this.list.refreshAll();
      }
    } else this.list.refreshAll();
    this.list.reveal(index);
    this.list.refresh(before);
    this.list.refresh(index);
    this.layer.setAttribute("aria-activedescendant", `cell-${index}`);
    this.remember();
    this.showPlace();
    if (this.isLarge) this.loupe.show(this.cursor);
  }

  showPlace() {
    const chosen = this.selected.size > 1 ? `, ${formatCount(this.selected.size)} selected` : "";
    setText(this.place, `image ${formatCount(this.cursor + 1)}${chosen}`);
  }

  showPace() {
    const since = Date.now() - PACE_MILLISECONDS;
    this.ratedTimes = this.ratedTimes.filter((time) => time > since);
    const span = this.ratedTimes.length > 1 ? Math.max(5000, Date.now() - this.ratedTimes[0]) : 0;
    const pace = span ? `, ${Math.round((this.ratedTimes.length * 60_000) / span)} a minute` : "";
    const { length } = this.snapshot;
    setText(
      this.pace,
      `${formatCount(Math.min(length, this.snapshot.ratedAtFirst + this.ratedNow))} of ${formatCount(length)} rated${pace}`,
    );
  }

  async setLarge(isLarge) {
    this.isLarge = isLarge;
    this.viewport.inert = isLarge;
    this.largeButton.setAttribute("aria-pressed", String(isLarge));
    if (!isLarge) {
      this.loupe.hide();
      this.layer.focus();
    }
    this.remember();
    if (isLarge) await this.loupe.show(this.cursor);
  }

  /** The images that a key is about: the selected ones, or the one under the cursor. */
  targets() {
    const places = this.selected.size > 1 ? [...this.selected].sort((a, b) => a - b) : [this.cursor];
    return places.map((index) => [index, this.snapshot.image(index)]).filter(([, image]) => image && !image.isGone);
  }

  /** Say something of the images a key is about; `build` gives what to say of one. */
  async say(build) {
    if (this.app.status.is_read_only) return false;
    if (this.selected.size > 1) await this.snapshot.need(Math.min(...this.selected), Math.max(...this.selected) + 1);
    const targets = this.targets()
      .map(([index, image]) => [index, image, build(image)])
      .filter(([, , said]) => said);
    if (!targets.length) return false;
    const says = targets.map(([, image, said]) => ({ run_id: image.run_id, image_id: image.digest, ...said }));
    outbox.submit(
      says,
      targets.map(([, image]) => image.opinion),
    );
    targets.forEach(([index, image, said]) => this.setOpinion(index, image, applyFeedback(image.opinion, said)));
    return true;
  }

  setOpinion(index, image, opinion) {
    const was = isRated(image);
    image.opinion = opinion;
    const is = isRated(image);
    if (was !== is) {
      this.ratedNow += is ? 1 : -1;
      this.snapshot.rated[this.snapshot.placeOf(index)] += is ? 1 : -1;
    }
    this.list.refresh(index);
    if (index === this.cursor && this.isLarge) this.loupe.showInfo(image);
    this.showPace();
  }

  async rate(rating, { clicked = false } = {}) {
    const isBatch = this.selected.size > 1;
    if (!(await this.say(() => ({ rating })))) return;
    if (rating !== null) this.ratedTimes.push(Date.now());
    if (isBatch) toast(`${plural(this.selected.size, "image")} rated ${rating === null ? "not at all" : `${rating}★`}`);
    else if (this.goesOn && rating !== null && !clicked) this.moveTo(this.cursor + 1);
    this.showPace();
  }

  setColour(colour) {
    const tag = `colour:${colour}`;
    return this.say((image) => {
      const had = (image.opinion.tags ?? []).filter((one) => one.startsWith("colour:"));
      return had.includes(tag) ? { remove_tags: [tag] } : { tags: [tag], remove_tags: had };
    });
  }

  async editTags() {
    const images = this.targets().map(([, image]) => image);
    if (!images.length || this.app.status.is_read_only) return;
    const before = images.length === 1 ? shownTags(images[0]) : [];
    const choices = getJson("/api/facets", { limit: 50 }).then((facets) => facets.tag.map((one) => String(one.value)));
    const text = await askText({
      title: images.length === 1 ? "Tags" : `Tags for ${plural(images.length, "image")}`,
      label: "With commas between them",
      value: before.join(", "),
      choices,
    });
    if (text === null) return;
    const tags = [
      ...new Set(
        text
          .split(",")
          .map((tag) => tag.trim())
          .filter(Boolean),
      ),
    ];
    const added = tags.filter((tag) => !before.includes(tag));
    const removed = before.filter((tag) => !tags.includes(tag));
    if (added.length || removed.length) await this.say(() => ({ tags: added, remove_tags: removed }));
  }

  async editNote() {
    const [, image] = this.targets()[0] ?? [];
    if (!image || this.app.status.is_read_only) return;
    const text = await askText({
      title: "Note",
      label: "What is there to say?",
      isLong: true,
      value: image.opinion.notes?.[0]?.text ?? "",
      hint: "Ctrl+Enter saves",
    });
    if (text !== null) await this.say(() => ({ notes: text.trim() }));
  }

  async step(name) {
    if (this.app.status.is_read_only) return;
    const entry = outbox[name]();
    if (!entry) {
      toast(name === "undo" ? "Nothing to undo" : "Nothing to redo");
      return;
    }
    let shown = -1;
    for (const [place, one] of entry.says.entries()) {
      const index = this.find(one);
      if (index < 0) continue;
      const image = this.snapshot.image(index);
      this.setOpinion(index, image, name === "undo" ? (entry.before[place] ?? {}) : applyFeedback(image.opinion, one));
      shown = index;
    }
    if (shown >= 0 && entry.says.length === 1) this.moveTo(shown);
    else if (shown < 0)
      toast(
        name === "undo"
          ? "Undone; it was about something not shown here"
          : "Done again; it is about something not shown here",
      );
  }

  find(saying) {
    for (const [place, run] of this.snapshot.runs) {
      const at = run.images.findIndex((image) => image.run_id === saying.run_id && image.digest === saying.image_id);
      if (at >= 0) return this.snapshot.starts[place] + at;
    }
    return -1;
  }

  async goUnrated(step) {
    const index = await this.snapshot.nextUnrated(this.cursor + step, step);
    if (index < 0) toast(step > 0 ? "No unrated image after this one" : "No unrated image before this one");
    else this.moveTo(index);
  }

  setOnwards(isOn) {
    this.goesOn = isOn;
    this.onwards.checked = isOn;
    setItem("stablenew:auto-advance", isOn ? "on" : "off");
    toast(isOn ? "Goes on after each rating" : "Stays after each rating");
  }

  async pin() {
    if (this.loupe.isPinned) {
      this.loupe.unpin();
      return;
    }
    const image = this.snapshot.image(this.cursor);
    if (!image || image.isGone) return;
    if (!this.isLarge) await this.setLarge(true);
    this.loupe.pin(image, this.cursor);
    if (this.cursor + 1 < this.snapshot.length) this.moveTo(this.cursor + 1);
  }

  moveBy(step, event) {
    const index = Math.max(0, Math.min(this.snapshot.length - 1, this.cursor + step));
    if (event.shiftKey && event.key.startsWith("Arrow")) this.selectTo(index);
    else this.moveTo(index);
  }

  onKey(event) {
    if (event.key === "CapsLock") {
      this.setOnwards(!this.goesOn);
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      this.box.focus();
      return;
    }
    if (!this.snapshot.length && event.key !== "Escape") return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      this.anchor = 0;
      this.selectTo(Math.min(this.snapshot.length, MOST_SELECTED) - 1);
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = this.actionFor(event);
    if (!action) return;
    event.preventDefault();
    this.inTurn(action);
  }

  /** Keys may come faster than images become known; each waits for the one before, so none is lost or hits another image. */
  inTurn(action) {
    const isThere = () => !this.snapshot.length || this.snapshot.image(this.cursor);
    const act = async () => {
      if (!isThere()) await this.snapshot.need(this.cursor, this.cursor + 1);
      await action();
    };
    // With nothing to wait for it happens now: what is typed next belongs into the field that it may open.
    const done = this.waiting || !isThere() ? this.turn.then(act) : (async () => action())();
    this.waiting += 1;
    this.turn = done
      .catch((error) => {
        if (error.name !== "AbortError") toast(error.message, { isError: true });
      })
      .finally(() => {
        this.waiting -= 1;
      });
  }

  /** What a key does; null when it does nothing. */
  actionFor(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const across = this.isLarge ? 1 : this.list.columns;
    const moves = {
      ArrowLeft: -1,
      h: -1,
      ArrowRight: 1,
      l: 1,
      ArrowUp: -across,
      k: -across,
      ArrowDown: across,
      j: across,
      PageUp: -this.list.pageSize,
      PageDown: this.list.pageSize,
      Home: -Infinity,
      End: Infinity,
    };
    const { key: pressed, shiftKey, target } = event;
    if (/^[0-5]$/.test(key)) return () => this.rate(Number(key));
    if (key in COLOURS) return () => this.setColour(COLOURS[key]);
    if (key in moves) return () => this.moveBy(moves[key], { shiftKey, key: pressed });
    if (key === "Enter" && target.closest?.("a, button")) return null;
    if (key === " " && target.closest?.("button, a, input")) return null;
    const actions = {
      Delete: () => this.rate(null),
      p: () => this.say(() => ({ flag: "pick" })),
      x: () => this.say(() => ({ flag: "reject" })),
      u: () => this.say(() => ({ flag: null })),
      " ": () => this.setLarge(!this.isLarge),
      t: () => this.editTags(),
      n: () => this.editNote(),
      z: () => this.step(shiftKey ? "redo" : "undo"),
      c: () => this.pin(),
      f: () => this.loupe.setFull(!this.loupe.isFull),
      a: () => this.setOnwards(!this.goesOn),
      "]": () => this.goUnrated(1),
      "[": () => this.goUnrated(-1),
      Enter: () => {
        const image = this.snapshot.image(this.cursor);
        if (image && !image.isGone) this.app.go(runUrl(image.run_id));
      },
      Escape: () => this.back(),
    };
    return actions[key] ?? null;
  }

  back() {
    if (this.loupe.isPinned) this.loupe.unpin();
    else if (this.loupe.isFull) this.loupe.setFull(false);
    else if (this.isLarge) this.setLarge(false);
    else if (this.selected.size) {
      this.selected.clear();
      this.list.refreshAll();
      this.showPlace();
    } else this.app.go(this.query ? `/?q=${encodeURIComponent(this.query)}` : "/");
  }
}

/** Enough to begin without reading anything. */
const buildHint = () =>
  h(
    "p",
    { class: "hint keys-hint" },
    [
      ["0–5", "rate"],
      ["←→", "move"],
      ["Space", "large"],
      ["z", "undo"],
      ["?", "all keys"],
    ].map(([key, meaning]) => [h("kbd", {}, key), ` ${meaning} `]),
  );

function showMarks(element, image) {
  if (!image) {
    element.replaceChildren();
    return;
  }
  const { rating } = image.opinion;
  fill(
    element,
    typeof rating === "number" ? h("span", { class: "rating" }, rating ? "★".repeat(rating) : "0") : null,
    buildDots(image),
    flagText(image) || null,
    shownTags(image).length ? `#${shownTags(image).length}` : null,
    image.opinion.notes?.length ? "✎" : null,
  );
}
