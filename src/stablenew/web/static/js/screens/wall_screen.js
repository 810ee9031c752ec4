// The wall: every image that fits a search, and the loupe over it.

import { getJson } from "../data/api.js";
import { formatCount, plural } from "../data/format.js";
import { ImageSelection } from "../data/image_selection.js";
import { queryOf } from "../data/images/chosen_images.js";
import { ImageList, readSnapshot } from "../data/images/image_list.js";
import { getItem, setItem } from "../data/local_storage.js";
import { splitQuery, toggleCondition } from "../data/query_text.js";
import { RatingPace } from "../data/rating_pace.js";
import { showEmpty, toast } from "../parts/dialogs.js";
import { fill, h, setText } from "../parts/dom.js";
import { buildFacets } from "../parts/facet_rail.js";
import { HoverBar } from "../parts/images/hover_bar.js";
import { Loupe } from "../parts/images/loupe.js";
import { WallView } from "../parts/images/wall_view.js";
import { WallArrivals } from "./wall/arrivals.js";
import { WallFeedback } from "./wall/feedback.js";
import { WallHiding } from "./wall/hiding.js";
import { createHeading, showHeading } from "./wall/headings.js";
import { ActionQueue, wallAction } from "./wall/keys.js";
import { isVeiled, setVeil } from "../parts/veil.js";
import { WallPointer } from "./wall/pointer.js";

const AUTO_ADVANCE_KEY = "stablenew:auto-advance";
const SIZE_KEY = "stablenew:wall-size";
const RAIL_KEY = "stablenew:facets";
const PACE_REFRESH_MILLISECONDS = 5000;
const RETRY_MILLISECONDS = 1000;
const MAX_FACET_VALUES = 8;
const [SMALLEST, LARGEST, STEP] = [120, 420, 40];
const NARROW = 700;
const SORTS = [
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["best", "Best first"],
  ["worst", "Worst first"],
  ["random", "Random"],
];
const GROUPS = [
  ["", "No groups"],
  ["day", "By day"],
  ["job", "By job"],
  ["prompt", "By prompt"],
  ["seed", "By prompt and seed"],
];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new WallScreen(root, app, search);

class WallScreen {
  constructor(root, app, search) {
    this.app = app;
    this.query = app.query ?? app.defaultQuery;
    this.sort = search.get("sort") ?? "newest";
    this.group = search.get("group") ?? "";
    this.isStacked = search.get("stack") === "1";
    this.startImage = Number(search.get("image") ?? 0);
    this.isLoupeOpen = search.get("view") === "loupe" || search.get("view") === "large";
    this.autoAdvance = getItem(AUTO_ADVANCE_KEY) !== "off";
    this.rowHeight = Number(getItem(SIZE_KEY)) || (window.innerWidth <= NARROW ? 160 : 220);
    this.isReadOnly = app.status.is_read_only;
    this.selection = new ImageSelection();
    this.ratingPace = new RatingPace();
    this.list = new ImageList(this.search);
    /** @type {number | undefined} */
    this.paceTimer = undefined;
    this.abort = new AbortController();
    this.feedback = new WallFeedback(this.selection, {
      isReadOnly: this.isReadOnly,
      onChange: (index) => this.showOpinion(index),
      bringBack: (runId, digest) => this.hiding.bringBack(runId, digest),
    });
    this.hiding = new WallHiding(this);
    this.feedback.list = this.list;
    this.actions = new ActionQueue({
      isReady: () => !this.list.length || Boolean(this.currentRow),
      load: () => this.list.ensureLoaded(this.cursor, this.cursor + 1),
    });
    this.build(root);
    this.arrivals = new WallArrivals(this);
    root.querySelector(".wall-body").append(this.arrivals.pill);
  }

  get search() {
    const { query, sort, group } = this;
    return { query, sort, group, stack: this.isStacked && !group ? 1 : null };
  }

  /** The index of the image that has the cursor. */
  get cursor() {
    return this.selection.cursor;
  }

  /** A search for the selected images; null where none is selected. */
  get chosenQuery() {
    return this.selection.isBatch ? queryOf(this.feedback.targets.map(({ image }) => image)) : null;
  }

  /** The image that has the cursor; undefined while it is not known. */
  get currentRow() {
    return this.list.row(this.cursor);
  }

  build(root) {
    root.className = "screen wall";
    this.layer = h("div.cells", {
      role: "listbox",
      tabindex: 0,
      "aria-label": "Images",
      "aria-multiselectable": "true",
    });
    this.viewport = h("div.viewport", this.layer);
    this.empty = h("div.empty", { hidden: true });
    this.hoverBar = new HoverBar({
      isReadOnly: this.isReadOnly,
      onRate: (index, rating) => this.onImage(index, () => this.rate(rating)),
      onFlag: (index, flag) => this.onImage(index, () => this.flag(flag)),
      onTrash: (index) => this.onImage(index, () => this.trash()),
    });
    this.viewport.append(this.hoverBar.element);
    this.loupe = new Loupe(this.list, {
      isReadOnly: this.isReadOnly,
      rater: this.app.status.rater,
      hasJobs: !this.app.status.device,
      onRate: (rating) => this.actions.add(() => this.rate(rating)),
      onFlag: (flag) => this.actions.add(() => this.flag(flag)),
      onStep: (step) => this.moveTo(this.cursor + step),
      onGo: (index) => this.moveTo(index),
      onClose: () => this.closeLoupe(),
    });
    fill(
      root,
      h("h1.sr-only", "Images"),
      h("div.wall-columns", this.buildRail(), h("div.wall-body", this.viewport, this.empty, this.loupe.element)),
      this.buildStatus(),
    );
    this.view = new WallView(this.viewport, this.layer, {
      list: this.list,
      rowHeight: () => this.rowHeight,
      stateOf: (index) => ({
        isSelected: this.selection.has(index),
        isCursor: index === this.cursor,
        stack: this.list.stacks[index],
      }),
      createHeading: () => createHeading(),
      showHeading: (node, first, last) => showHeading(node, this.list, this.group, first, last),
      onRange: (first, last) => this.loadRange(first, last),
      onScrolled: () => this.pointer.scrolled(),
    });
    this.pointer = new WallPointer(this);
  }

  buildRail() {
    const select = (label, options, value, onChange) => {
      const element = h(
        "select",
        { "aria-label": label, change: () => onChange(element.value) },
        options.map(([name, text]) => h("option", { value: name }, text)),
      );
      element.value = value;
      return element;
    };
    this.order = select("Sort", SORTS, this.sort, (sort) => this.show({ sort }));
    this.facets = h("div.facet-list");
    this.rail = h(
      "aside.rail",
      { "aria-label": "Filters" },
      h(
        "div.rail-head",
        this.order,
        select("Group", GROUPS, this.group, (group) => this.show({ group })),
        this.app.box.viewsElement,
        this.buildSwitch("stack", "Stack seeds", this.isStacked, (isStacked) => this.show({ isStacked })),
        this.buildSwitch("veil", "Blur until hover", isVeiled(), setVeil),
      ),
      this.facets,
    );
    const isWide = window.innerWidth > NARROW;
    this.rail.hidden = !isWide || getItem(RAIL_KEY) === "off";
    return this.rail;
  }

  buildSwitch(id, text, isOn, onChange) {
    const box = h("input", { type: "checkbox", id, checked: isOn, change: () => onChange(box.checked) });
    return h("label.switch", { for: id }, box, text);
  }

  /** Open or close the stack of an image. */
  async toggleStack(index = this.cursor) {
    await this.list.toggleStack(index);
    this.listChanged();
  }

  buildStatus() {
    this.counts = h("span.counts", { role: "status" });
    this.pace = h("span.pace");
    this.chosen = h("button.chosen", { hidden: true, click: () => this.clearSelection() });
    this.advanceBox = h("input", {
      type: "checkbox",
      id: "advance",
      change: () => this.setAutoAdvance(this.advanceBox.checked),
    });
    this.advanceBox.checked = this.autoAdvance;
    this.slider = h("input", {
      type: "range",
      id: "size",
      min: SMALLEST,
      max: LARGEST,
      step: 4,
      input: () => this.setRowHeight(Number(this.slider.value)),
    });
    this.slider.value = String(this.rowHeight);
    return h(
      "div.status-bar",
      this.counts,
      this.pace,
      this.chosen,
      this.isReadOnly ? null : h("label.switch", { for: "advance" }, this.advanceBox, "Advance after rating"),
      h("label.size", { for: "size" }, "Size", this.slider),
    );
  }

  close() {
    this.view.close();
    this.loupe.close();
    this.arrivals.close();
    this.pointer.hoverSoon.cancel();
    this.abort.abort();
    clearInterval(this.paceTimer);
  }

  /** Show what the server put into the page, if it fits; then all. */
  async load() {
    const first = this.isStacked ? null : this.app.takeFirst(this.search);
    if (first) {
      this.list.use(readSnapshot(first.snapshot));
      first.rows.forEach((row, index) => row && this.list.cache(row.id, row, index));
      this.start();
      if (this.list.isWhole && this.list.length) return this.loadFacets();
    }
    try {
      this.list.use(await this.list.fetch(this.abort.signal));
    } catch (error) {
      if (error.status === 422) return this.app.box.apply(); // the box shows what is wrong with the search
      throw error;
    }
    if (first?.rows.length) this.view.relayout();
    else this.start();
    this.showCounts();
    this.showEmptyState();
    this.loadFacets();
  }

  start() {
    this.showEmptyState();
    if (!this.list.length) return;
    const index = this.startImage ? this.list.indexOf(this.startImage) : 0;
    this.selection.moveTo(Math.max(0, index));
    this.view.reset();
    this.changeSelection(() => {});
    if (!this.isLoupeOpen) this.layer.focus({ preventScroll: true });
    if (this.isLoupeOpen) this.openLoupe(this.cursor);
    this.showCounts();
    this.paceTimer ??= setInterval(() => this.showCounts(), PACE_REFRESH_MILLISECONDS);
  }

  /** Another search, order or grouping of the same screen. */
  show(search) {
    Object.assign(this, search);
    this.order.value = this.sort;
    this.startImage = 0;
    this.isLoupeOpen = false;
    return this.reload({ isFromTop: true });
  }

  /** The app's search changed. */
  onQuery(query) {
    this.show({ query: query ?? this.app.defaultQuery });
  }

  /** Load the list as it is now; the cursor stays on its image. */
  async reload({ isFromTop = false } = {}) {
    const id = this.list.ids[this.cursor];
    const list = new ImageList(this.search);
    const snapshot = await list.fetch(this.abort.signal);
    list.use(snapshot);
    for (const [key, row] of this.list.rows) list.rows.set(key, row);
    list.expireAll();
    for (const part of [this, this.view, this.loupe, this.loupe.film, this.feedback]) part.list = list;
    const index = isFromTop ? 0 : Math.max(0, list.indexOf(id));
    this.selection.moveTo(Math.min(index, Math.max(0, list.length - 1)));
    this.showEmptyState();
    if (isFromTop && this.loupe.isOpen) this.closeLoupe();
    this.view.reset(isFromTop ? null : this.view.anchor());
    if (list.length) this.changeSelection(() => {});
    this.remember();
    this.showCounts();
    this.loadFacets();
  }

  /** Whether images that arrive may be put at the top of what is shown. */
  get mayMove() {
    return !this.loupe.isOpen && this.view.top < 2 && !this.selection.size && this.cursor === 0;
  }

  prepend(head, added) {
    this.list.prepend(head, added);
    this.selection.shift(0, added);
    this.view.prepended(added);
    this.selection.moveTo(this.selection.cursor);
    this.showActive();
    this.showCounts();
  }

  /** Images went out of the list, or came back to it. */
  listChanged() {
    this.selection.cursor = Math.min(this.cursor, Math.max(0, this.list.length - 1));
    this.view.reset(this.view.anchor());
    this.showEmptyState();
    this.showCounts();
    if (this.list.length) this.changeSelection(() => {});
    else if (this.loupe.isOpen) this.closeLoupe();
  }

  /** Rows were forgotten because they changed: load and show them again. */
  showAgain() {
    this.loadRange(...this.view.range);
    if (this.loupe.isOpen) this.list.ensureLoaded(this.cursor - 1, this.cursor + 2).then(() => this.loupe.showWords());
  }

  showEmptyState() {
    const isEmpty = !this.list.length;
    this.viewport.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    const isFiltered = this.query && this.query !== this.app.defaultQuery;
    if (!this.app.status.is_indexed)
      showEmpty(this.empty, "Reading the run folders…", h("p", "Images appear here as they are found."));
    else if (isFiltered)
      showEmpty(
        this.empty,
        "No image matches this search",
        h("button", { click: () => this.app.box.set(this.app.defaultQuery) }, "Show all images"),
      );
    else
      showEmpty(
        this.empty,
        "No images yet",
        h("p", "Start a run here, or record your own pipeline into ", h("code", this.app.status.store), "."),
        h("p", h("a.button.primary", { "data-link": true, href: "/import" }, "Where are your images?")),
        h("p", h("a.button", { "data-link": true, href: "/new" }, "New run")),
        h("p.hint", "In a terminal: ", h("code", "stablenew demo")),
      );
  }

  /** Put search, cursor and view into the address, so that a reload comes back to them. */
  remember() {
    const parameters = new URLSearchParams();
    if (this.app.query !== null) parameters.set("q", this.app.query);
    if (this.sort !== "newest") parameters.set("sort", this.sort);
    if (this.group) parameters.set("group", this.group);
    if (this.isStacked) parameters.set("stack", "1");
    if (this.cursor || this.isLoupeOpen) parameters.set("image", String(this.list.ids[this.cursor]));
    if (this.isLoupeOpen) parameters.set("view", "loupe");
    const text = parameters.toString();
    this.app.remember(text ? `/?${text}` : "/");
  }

  /** The wall shows these images now: load those it lacks. One request at a time, for the latest range. */
  async loadRange(first, last) {
    this.wantedRange = [first, last];
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      for (let loaded = null; loaded !== this.wantedRange;) {
        loaded = this.wantedRange;
        if (await this.list.ensureLoaded(loaded[0], loaded[1])) this.view.refreshAll();
      }
    } catch {
      setTimeout(() => this.loadRange(...this.view.range), RETRY_MILLISECONDS);
    } finally {
      this.isLoading = false;
    }
  }

  /** Move the cursor. Beyond the first and last image it stays where it is. */
  moveTo(index, { isExtending = false } = {}) {
    if (!this.list.length) return;
    const target = Math.max(0, Math.min(this.list.length - 1, index));
    if (isExtending) this.changeSelection(() => this.selection.extendTo(target));
    else this.changeSelection(() => this.selection.moveTo(target));
  }

  selectImages(indexes) {
    this.changeSelection(() => this.selection.replace(indexes), { reveals: false });
  }

  clearSelection() {
    this.changeSelection(() => this.selection.clear(), { reveals: false });
  }

  changeSelection(change, { reveals = true } = {}) {
    const before = this.cursor;
    const hadSelection = this.selection.size > 0;
    change();
    if (hadSelection || this.selection.size) this.view.refreshAll();
    if (reveals) this.view.reveal(this.cursor);
    this.view.refresh(before);
    this.view.refresh(this.cursor);
    this.showActive();
    if (this.isLoupeOpen) this.loupe.show(this.cursor);
  }

  showActive() {
    this.layer.setAttribute("aria-activedescendant", `cell-${this.cursor}`);
    this.remember();
    const { size } = this.selection;
    this.chosen.hidden = !size;
    if (size) setText(this.chosen, `${formatCount(size)} selected ×`);
  }

  showHover(index) {
    if (index < 0 || this.loupe.isOpen) this.hoverBar.hide();
    else this.hoverBar.show(index, this.list.row(index), this.view.placeOf(index));
  }

  showCounts() {
    const perMinute = this.ratingPace.perMinute(Date.now());
    setText(this.counts, `${plural(this.list.total, "image")} · ${formatCount(this.list.unratedCount)} unrated`);
    setText(this.pace, perMinute === null ? "" : `${perMinute} a minute`);
  }

  /** Show that the opinion of an image changed. */
  showOpinion(index) {
    this.view.refresh(index);
    if (this.hoverBar.index === index) this.showHover(index);
    if (index === this.cursor && this.loupe.isOpen) this.loupe.showWords();
    this.showCounts();
  }

  async loadFacets() {
    const request = { query: this.query, limit: MAX_FACET_VALUES };
    const found = await getJson("/api/images/facets", request, this.abort.signal).catch(() => null);
    if (!found) return;
    const chosen = new Set(splitQuery(this.query).map((part) => part.text));
    fill(
      this.facets,
      buildFacets(found, chosen, (field, value) => this.app.box.set(toggleCondition(this.query, field, value))),
    );
  }

  toggleFacets() {
    this.rail.hidden = !this.rail.hidden;
    setItem(RAIL_KEY, this.rail.hidden ? "off" : "on");
  }

  setRowHeight(height) {
    this.rowHeight = Math.max(SMALLEST, Math.min(LARGEST, height));
    this.slider.value = String(this.rowHeight);
    setItem(SIZE_KEY, String(this.rowHeight));
    const box = this.list.length ? this.view.layout.boxOf(this.cursor) : null;
    const offset = box ? box.top + this.view.margin - this.view.top : -1;
    const isInView = offset >= 0 && offset < this.view.viewHeight;
    this.view.relayout(isInView && this.cursor > 0 ? { index: this.cursor, offset } : undefined);
  }

  zoomBy(steps) {
    if (this.isLoupeOpen) this.loupe.zoom.zoomBy(steps > 0 ? 1.25 : 0.8);
    else this.setRowHeight(this.rowHeight + steps * STEP);
  }

  openLoupe(index) {
    this.isLoupeOpen = true;
    this.viewport.closest(".wall")?.classList.add("large");
    this.viewport.inert = true;
    this.hoverBar.hide();
    if (this.selection.isBatch) this.selection.clear();
    this.moveTo(index);
  }

  closeLoupe() {
    this.isLoupeOpen = false;
    this.viewport.inert = false;
    this.viewport.closest(".wall")?.classList.remove("large");
    this.loupe.hide();
    this.view.reveal(this.cursor);
    this.view.refreshAll();
    this.layer.focus({ preventScroll: true });
    this.showActive();
    this.arrivals.lookSoon();
  }

  toggleLoupe() {
    if (this.isLoupeOpen) this.closeLoupe();
    else if (this.list.length) this.openLoupe(this.cursor);
  }

  /** Do something in the loupe, which is opened for it. */
  async inLoupe(action) {
    if (!this.isLoupeOpen) this.openLoupe(this.cursor);
    action(this.loupe);
  }

  /** Do something to an image by the mouse: to all that are selected, when it is one of them. */
  onImage(index, action) {
    if (!this.selection.has(index)) this.changeSelection(() => this.selection.moveTo(index), { reveals: false });
    this.actions.add(action);
  }

  async rate(rating) {
    const { isBatch } = this.selection;
    const done = await this.feedback.submit(() => ({ rating }));
    if (!done.length) return;
    if (rating !== null) done.forEach(() => this.ratingPace.add(Date.now()));
    if (isBatch) toast(`${plural(done.length, "image")} rated ${rating === null ? "not at all" : rating + "★"}`);
    else if (this.autoAdvance && rating !== null) this.moveTo(this.cursor + 1);
    this.showCounts();
  }

  /** Pick or reject; the same once more takes it back. */
  async flag(flag) {
    const isSet = this.feedback.targets.every(({ image }) => image.opinion.flag === flag);
    const done = await this.feedback.submit(() => ({ flag: isSet ? null : flag }));
    this.hiding.hide(done);
  }

  /** Move to the trash; out of it what is there already. */
  async trash() {
    const isThere = this.feedback.targets.every(({ image }) => image.opinion.trashed);
    const done = await this.feedback.submit(() => ({ trashed: !isThere }));
    if (done.length && !isThere)
      toast(`${plural(done.length, "image")} in the trash`, { action: "Undo", onAction: () => this.undo() });
    this.hiding.hide(done);
  }

  undo() {
    this.goTo(this.feedback.undo());
  }

  redo() {
    this.goTo(this.feedback.redo());
  }

  goTo(index) {
    if (index >= 0) this.moveTo(index);
  }

  goUnrated(step) {
    const index = this.list.nextUnrated(this.cursor + step, step);
    if (index < 0) toast("No unrated image after this one");
    else this.moveTo(index);
  }

  setAutoAdvance(isOn) {
    this.autoAdvance = isOn;
    this.advanceBox.checked = isOn;
    setItem(AUTO_ADVANCE_KEY, isOn ? "on" : "off");
    toast(isOn ? "Rating moves on to the next image" : "Rating stays on the image");
  }

  onKey(event) {
    if (!this.list.length) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      this.changeSelection(() => this.selection.selectAll(this.list.length), { reveals: false });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = wallAction(this, event);
    if (!action) return;
    event.preventDefault();
    this.actions.add(action);
  }

  /** One step back: from a zoomed image, the loupe, the selection; never out of the wall. */
  back() {
    if (this.isLoupeOpen) {
      if (!this.loupe.back()) this.closeLoupe();
    } else if (this.selection.size) this.clearSelection();
  }
}
