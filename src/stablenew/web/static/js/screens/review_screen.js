// Review: look at images one after the other and say what you think, as fast as you can press keys.

import { ImageSelection } from "../data/image_selection.js";
import { getItem, setItem } from "../data/local_storage.js";
import { formatCount, plural } from "../data/format.js";
import { RatingPace } from "../data/rating_pace.js";
import { Snapshot } from "../data/snapshot.js";
import { showEmpty, toast } from "../parts/dialogs.js";
import { fill, h, setText } from "../parts/dom.js";
import { createCell, showCell } from "../parts/image_cell.js";
import { Loupe } from "../parts/loupe.js";
import { QueryBox } from "../parts/query_box.js";
import { VirtualList } from "../parts/virtual_list.js";
import { ReviewFeedback } from "./review_feedback.js";
import { ActionQueue, REVIEW_KEYS, reviewAction } from "./review_keys.js";

const AUTO_ADVANCE_KEY = "stablenew:auto-advance";
const PACE_REFRESH_MILLISECONDS = 5000;
const RETRY_MILLISECONDS = 1000;
const NARROW_WINDOW = 700;

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new ReviewScreen(root, app, search);

class ReviewScreen {
  constructor(root, app, search) {
    this.app = app;
    this.query = search.get("q") ?? "";
    this.startAt = Number(search.get("at") ?? 0);
    this.isLarge = search.get("view") === "large";
    this.keys = REVIEW_KEYS;
    this.autoAdvance = getItem(AUTO_ADVANCE_KEY) !== "off";
    this.abort = new AbortController();
    this.snapshot = new Snapshot(this.query);
    this.selection = new ImageSelection();
    this.ratingPace = new RatingPace();
    this.feedback = new ReviewFeedback(this.snapshot, this.selection, {
      isReadOnly: app.status.is_read_only,
      onChange: (index) => this.showOpinion(index),
    });
    this.actions = new ActionQueue({
      isReady: () => !this.snapshot.length || Boolean(this.currentImage),
      load: () => this.snapshot.ensureLoaded(this.cursor, this.cursor + 1),
    });
    this.build(root);
  }

  /** The index of the image that has the cursor. */
  get cursor() {
    return this.selection.cursor;
  }

  /** The image that has the cursor; undefined while it is not known. */
  get currentImage() {
    return this.snapshot.image(this.cursor);
  }

  build(root) {
    root.className = "screen review";
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
      onRate: (rating) => this.rate(rating, { isClick: true }),
    });
    fill(
      root,
      h("h1", { class: "sr-only" }, "Review"),
      this.buildBar(),
      h("div", { class: "review-body" }, this.viewport, this.empty, this.loupe.element),
    );
    this.list = this.buildList();
  }

  buildBar() {
    this.box = new QueryBox({ query: this.query, onChange: (query) => this.app.go(withQuery("/review", query)) });
    this.pace = h("span", { class: "pace", role: "status" });
    this.place = h("span", { class: "soft" });
    this.autoAdvanceBox = h("input", {
      type: "checkbox",
      id: "onwards",
      on: { change: () => this.setAutoAdvance(this.autoAdvanceBox.checked) },
    });
    this.autoAdvanceBox.checked = this.autoAdvance;
    this.largeButton = h(
      "button",
      { type: "button", "aria-pressed": "false", on: { click: () => this.setLarge(!this.isLarge) } },
      "Large view",
    );
    return h(
      "div",
      { class: "review-bar" },
      this.box.element,
      this.pace,
      this.place,
      h("label", { class: "switch", for: "onwards" }, this.autoAdvanceBox, "go on after rating"),
      this.largeButton,
      h("button", { type: "button", on: { click: () => this.goUnrated(1) } }, "Next unrated ", h("kbd", {}, "]")),
      this.app.status.is_read_only ? null : buildHint(),
    );
  }

  buildList() {
    const isNarrow = () => window.innerWidth <= NARROW_WINDOW;
    return new VirtualList(this.viewport, this.layer, {
      itemHeight: () => (isNarrow() ? 170 : 220),
      columns: () => Math.max(2, Math.floor(this.viewport.clientWidth / (isNarrow() ? 150 : 220))),
      create: () =>
        createCell({
          onClick: (event, index) => this.clickImage(event, index),
          onOpen: () => this.setLarge(true),
        }),
      show: (node, index) =>
        showCell(node, this.snapshot.image(index), {
          index,
          count: this.snapshot.length,
          isSelected: this.selection.has(index),
          isCursor: index === this.cursor,
        }),
      onRange: (first, last) => this.loadRange(first, last),
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
      if (error.status === 422) return this.box.apply(); // the box shows what is wrong with the search
      throw error;
    }
    const { length } = this.snapshot;
    this.viewport.hidden = !length;
    this.showPace();
    if (!length) {
      this.showEmptyState();
      return;
    }
    this.list.setCount(length);
    this.moveTo(Math.max(0, Math.min(length - 1, this.startAt)));
    this.layer.focus();
    if (this.isLarge) await this.setLarge(true);
    this.showPace();
    this.paceTimer = setInterval(() => this.showPace(), PACE_REFRESH_MILLISECONDS);
  }

  showEmptyState() {
    const wayOut = this.query
      ? h("a", { "data-link": true, href: "/review" }, "Review all images")
      : h("a", { class: "button primary", "data-link": true, href: "/new" }, "Make a run");
    showEmpty(this.empty, this.query ? "No image fits this search" : "No images yet", h("p", {}, wayOut));
  }

  /** Put query, cursor and view into the address, so that a reload comes back to them. */
  remember() {
    const parameters = new URLSearchParams();
    if (this.query) parameters.set("q", this.query);
    if (this.cursor) parameters.set("at", String(this.cursor));
    if (this.isLarge) parameters.set("view", "large");
    const text = parameters.toString();
    this.app.remember(text ? `/review?${text}` : "/review");
  }

  /** The list shows these images now: load those it lacks. One request at a time, for the latest range. */
  async loadRange(first, last) {
    this.range = [first, last];
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      for (let loaded = null; loaded !== this.range;) {
        loaded = this.range;
        if (await this.snapshot.ensureLoaded(...loaded)) this.list.refreshAll();
      }
    } catch {
      setTimeout(() => this.list.render(true), RETRY_MILLISECONDS);
    } finally {
      this.isLoading = false;
    }
  }

  clickImage(event, index) {
    if (event.shiftKey) this.changeSelection(() => this.selection.extendTo(index));
    else if (event.ctrlKey || event.metaKey) this.changeSelection(() => this.selection.toggle(index));
    else this.moveTo(index);
  }

  /** Move the cursor and select nothing. Beyond the first and last image it stays where it is. */
  moveTo(index) {
    if (index < 0 || index >= this.snapshot.length) return;
    this.changeSelection(() => this.selection.moveTo(index));
  }

  moveBy(step, { isExtending }) {
    const index = Math.max(0, Math.min(this.snapshot.length - 1, this.cursor + step));
    if (isExtending) this.changeSelection(() => this.selection.extendTo(index));
    else this.moveTo(index);
  }

  changeSelection(change) {
    const before = this.cursor;
    const hadSelection = this.selection.size > 0;
    change();
    if (hadSelection || this.selection.size) this.list.refreshAll();
    this.list.reveal(this.cursor);
    this.list.refresh(before);
    this.list.refresh(this.cursor);
    this.layer.setAttribute("aria-activedescendant", `cell-${this.cursor}`);
    this.remember();
    this.showPlace();
    if (this.isLarge) this.loupe.show(this.cursor);
  }

  showPlace() {
    const { isBatch, size } = this.selection;
    setText(this.place, `image ${formatCount(this.cursor + 1)}${isBatch ? `, ${formatCount(size)} selected` : ""}`);
  }

  showPace() {
    const perMinute = this.ratingPace.perMinute(Date.now());
    const { length, initialRatedCount } = this.snapshot;
    const rated = Math.min(length, initialRatedCount + this.feedback.ratedChange);
    const pace = perMinute === null ? "" : `, ${perMinute} a minute`;
    setText(this.pace, `${formatCount(rated)} of ${formatCount(length)} rated${pace}`);
  }

  /** Show that the opinion of an image changed. */
  showOpinion(index) {
    this.list.refresh(index);
    if (index === this.cursor && this.isLarge) this.loupe.showInfo(this.currentImage);
    this.showPace();
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

  async rate(rating, { isClick = false } = {}) {
    const { isBatch, size } = this.selection;
    if (!(await this.feedback.submit(() => ({ rating })))) return;
    if (rating !== null) this.ratingPace.add(Date.now());
    if (isBatch) toast(`${plural(size, "image")} rated ${rating === null ? "not at all" : `${rating}★`}`);
    else if (this.autoAdvance && rating !== null && !isClick) this.moveTo(this.cursor + 1);
    this.showPace();
  }

  undo() {
    this.moveTo(this.feedback.undo());
  }

  redo() {
    this.moveTo(this.feedback.redo());
  }

  async goUnrated(step) {
    const index = await this.snapshot.nextUnrated(this.cursor + step, step);
    if (index < 0) toast(step > 0 ? "No unrated image after this one" : "No unrated image before this one");
    else this.moveTo(index);
  }

  setAutoAdvance(isOn) {
    this.autoAdvance = isOn;
    this.autoAdvanceBox.checked = isOn;
    setItem(AUTO_ADVANCE_KEY, isOn ? "on" : "off");
    toast(isOn ? "Goes on after each rating" : "Stays after each rating");
  }

  /** Hold the image beside the next ones, to compare; or let it go. */
  async togglePin() {
    if (this.loupe.isPinned) {
      this.loupe.unpin();
      return;
    }
    const image = this.currentImage;
    if (!image || image.isGone) return;
    if (!this.isLarge) await this.setLarge(true);
    this.loupe.pin(image, this.cursor);
    this.moveTo(this.cursor + 1);
  }

  onKey(event) {
    if (event.key === "CapsLock") {
      this.setAutoAdvance(!this.autoAdvance);
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      this.box.focus();
      return;
    }
    if (!this.snapshot.length && event.key !== "Escape") return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      this.changeSelection(() => this.selection.selectAll(this.snapshot.length));
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = reviewAction(this, event);
    if (!action) return;
    event.preventDefault();
    this.actions.add(action);
  }

  /** One step back: from the held image, full size, the large view, the selection, and then to the history. */
  back() {
    if (this.loupe.isPinned) this.loupe.unpin();
    else if (this.loupe.isFull) this.loupe.setFull(false);
    else if (this.isLarge) this.setLarge(false);
    else if (this.selection.size) {
      this.selection.clear();
      this.list.refreshAll();
      this.showPlace();
    } else this.app.go(withQuery("/", this.query));
  }
}

const withQuery = (path, query) => (query ? `${path}?q=${encodeURIComponent(query)}` : path);

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
