// The wall: every image that fits a search, and the loupe over it.

import { ImageSelection } from "../data/image_selection.js";
import { queryOf } from "../data/images/chosen_images.js";
import { ImageList } from "../data/images/image_list.js";
import { getItem, setItem } from "../data/local_storage.js";
import { splitQuery } from "../data/query_text.js";
import { fill, h, isShortcut } from "../parts/dom.js";
import { ALBUM_PREFIX } from "../parts/image_words.js";
import { HoverBar } from "../parts/images/hover_bar.js";
import { Loupe } from "../parts/images/loupe.js";
import { WallView } from "../parts/images/wall_view.js";
import { WallActs } from "./wall/acts.js";
import { AlbumOrder } from "./wall/album_order.js";
import { WallArrivals } from "./wall/arrivals.js";
import { WallFeedback } from "./wall/feedback.js";
import { createHeading, showHeading } from "./wall/headings.js";
import { WallHiding } from "./wall/hiding.js";
import { ActionQueue, wallAction } from "./wall/keys.js";
import { WallLoading } from "./wall/loading.js";
import { WallPointer } from "./wall/pointer.js";
import { WallRail } from "./wall/rail.js";
import { LARGEST, SMALLEST, WallStatus } from "./wall/status_bar.js";

const SIZE_KEY = "stablenew:wall-size";
const STEP = 40;
const NARROW = 700;

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
    this.isNarrow = window.innerWidth <= NARROW;
    this.rowHeight = Number(getItem(SIZE_KEY)) || (this.isNarrow ? 160 : 220);
    this.isReadOnly = app.status.is_read_only;
    this.selection = new ImageSelection();
    this.list = new ImageList(this.search);
    this.abort = new AbortController();
    this.feedback = new WallFeedback(this.selection, {
      isReadOnly: this.isReadOnly,
      onChange: (index) => this.showOpinion(index),
      bringBack: (runId, digest) => this.hiding.bringBack(runId, digest),
    });
    this.hiding = new WallHiding(this);
    this.acts = new WallActs(this);
    this.loading = new WallLoading(this);
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

  /** Whether the images of an album are searched for. */
  get hasAlbum() {
    return splitQuery(this.query).some(({ text }) => text.startsWith(ALBUM_PREFIX));
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
    this.rail = new WallRail(this);
    this.status = new WallStatus(this);
    this.hoverBar = new HoverBar({
      isReadOnly: this.isReadOnly,
      onRate: (index, rating) => this.onImage(index, () => this.acts.rate(rating)),
      onFlag: (index, flag) => this.onImage(index, () => this.acts.flag(flag)),
      onTrash: (index) => this.onImage(index, () => this.acts.trash()),
    });
    this.viewport.append(this.hoverBar.element);
    this.loupe = new Loupe(this.list, {
      isReadOnly: this.isReadOnly,
      rater: this.app.status.rater,
      hasJobs: !this.app.status.device,
      onRate: (rating) => this.actions.add(() => this.acts.rate(rating)),
      onFlag: (flag) => this.actions.add(() => this.acts.flag(flag)),
      onStep: (step) => this.moveTo(this.cursor + step),
      onGo: (index) => this.moveTo(index),
      onClose: () => this.closeLoupe(),
    });
    fill(
      root,
      h("h1.sr-only", "Images"),
      h("div.wall-columns", this.rail.element, h("div.wall-body", this.viewport, this.empty, this.loupe.element)),
      this.status.element,
    );
    this.view = new WallView(this.viewport, this.layer, {
      list: this.list,
      rowHeight: () => this.rowHeight,
      stateOf: (index) => ({
        isSelected: this.selection.has(index),
        isCursor: index === this.cursor,
        isMovable: this.order.isOn,
        stack: this.list.stacks[index],
      }),
      createHeading: () => createHeading(),
      showHeading: (node, first, last) => showHeading(node, this.list, this.group, first, last),
      onRange: (first, last) => this.loading.loadRange(first, last),
      onScrolled: () => this.pointer.scrolled(),
    });
    this.order = new AlbumOrder(this);
    this.pointer = new WallPointer(this);
  }

  /** Open or close the stack of an image. */
  async toggleStack(index = this.cursor) {
    await this.list.toggleStack(index);
    this.listChanged();
  }

  close() {
    this.view.close();
    this.loupe.close();
    this.arrivals.close();
    this.pointer.hoverSoon.cancel();
    this.abort.abort();
    this.status.close();
  }

  load() {
    return this.loading.load();
  }

  /** Another search, order or grouping of the same screen. */
  show(search) {
    Object.assign(this, search);
    this.rail.showOrder();
    this.startImage = 0;
    this.isLoupeOpen = false;
    return this.loading.reload({ isFromTop: true });
  }

  /** The app's search changed. */
  onQuery(query) {
    const hadAlbum = this.hasAlbum;
    this.query = query ?? this.app.defaultQuery;
    if (this.hasAlbum && !hadAlbum) this.sort = "album";
    else if (!this.hasAlbum && this.sort === "album") this.sort = "newest";
    this.show({});
  }

  /** Whether images that arrive may be put at the top of what is shown. */
  get mayMove() {
    const isUntouched = this.cursor === 0 || !this.selection.isPlaced;
    return !this.loupe.isOpen && this.view.top < 2 && !this.selection.size && isUntouched;
  }

  prepend(head, added) {
    this.list.prepend(head, added);
    this.selection.shift(0, added);
    this.view.prepended(added);
    this.showActive();
  }

  /** Images went out of the list, or came back to it. */
  listChanged() {
    this.selection.cursor = Math.min(this.cursor, Math.max(0, this.list.length - 1));
    this.view.reset(this.view.anchor());
    this.loading.showState();
    if (this.list.length) this.changeSelection(() => {});
    else if (this.loupe.isOpen) this.closeLoupe();
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
    this.status.show();
  }

  showHover(index) {
    if (index < 0 || this.loupe.isOpen) this.hoverBar.hide();
    else this.hoverBar.show(index, this.list.row(index), this.view.placeOf(index));
  }

  /** Show that the opinion of an image changed. */
  showOpinion(index) {
    this.view.refresh(index);
    if (this.hoverBar.index === index) this.showHover(index);
    if (index === this.cursor && this.loupe.isOpen) this.loupe.showWords();
    this.status.show();
  }

  toggleFacets() {
    this.rail.toggle();
  }

  setRowHeight(height) {
    this.rowHeight = Math.max(SMALLEST, Math.min(LARGEST, height));
    this.status.slider.value = String(this.rowHeight);
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

  onKey(event) {
    if (!this.list.length) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      this.changeSelection(() => this.selection.selectAll(this.list.length), { reveals: false });
      return;
    }
    const action = isShortcut(event) ? this.order.actionOf(event) : wallAction(this, event);
    if (!action) return;
    event.preventDefault();
    this.actions.add(action);
  }

  /** One step back: from a zoomed image, the loupe, the selection; never out of the wall. */
  back() {
    if (this.order.isPlacing) this.order.setPlacing(false);
    else if (this.isLoupeOpen) {
      if (!this.loupe.back()) this.closeLoupe();
    } else if (this.selection.size) this.clearSelection();
  }
}
