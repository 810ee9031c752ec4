// How the wall gets its list of images, and the rows of those it shows; what it shows where there are none.

import { ImageList, readSnapshot } from "../../data/images/image_list.js";
import { showEmpty, showUnread } from "../../parts/dialogs.js";

const RETRY_MILLISECONDS = 1000;
/** Rows are loaded this many images before they come near the view, and in blocks: each answer takes time from a frame. */
const AHEAD = 24;
const BLOCK = 48;

export class WallLoading {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.isLoading = false;
    /** The images that are wanted, from the first up to the last. */
    this.range = [0, 0];
  }

  /** Show what the server put into the page, if it fits; then all. */
  async load() {
    const { screen } = this;
    const { app, list } = screen;
    const first = screen.isStacked ? null : app.takeFirst(screen.search);
    if (first) {
      list.use(readSnapshot(first.snapshot));
      first.rows.forEach((row, index) => row && list.cache(row.id, row, index));
      this.start();
      if (list.isWhole && list.length) return screen.rail.load();
    }
    try {
      list.use(await list.fetch(screen.abort.signal));
    } catch (error) {
      if (error.status !== 422) throw error;
      this.showRoom();
      showUnread(screen.empty, error.message, () => app.box.set(app.defaultQuery));
      return app.box.apply(); // the box shows where it is wrong
    }
    if (first?.rows.length) screen.view.relayout();
    else this.start();
    this.showState();
    screen.rail.load();
  }

  start() {
    const { screen } = this;
    this.showState();
    if (!screen.list.length) return;
    const index = screen.startImage ? screen.list.indexOf(screen.startImage) : 0;
    screen.selection.moveTo(Math.max(0, index));
    screen.selection.isPlaced = screen.startImage > 0;
    screen.view.reset();
    screen.changeSelection(() => {});
    if (screen.isLoupeOpen) screen.openLoupe(screen.cursor);
    else screen.layer.focus({ preventScroll: true });
  }

  /** Load the list as it is now; the cursor stays on its image, and with `staysOnTop` the top is still in view. */
  async reload({ isFromTop = false, staysOnTop = false } = {}) {
    const { screen } = this;
    const id = screen.list.ids[screen.cursor];
    const list = new ImageList(screen.search);
    list.use(await list.fetch(screen.abort.signal));
    const showsTop = isFromTop || (staysOnTop && screen.mayMove); // unless somebody scrolled meanwhile
    const { isPlaced } = screen.selection;
    for (const [key, row] of screen.list.rows) list.rows.set(key, row);
    list.expireAll();
    for (const part of [screen, screen.view, screen.loupe, screen.loupe.film, screen.feedback]) part.list = list;
    const index = isFromTop ? 0 : Math.max(0, list.indexOf(id));
    screen.selection.moveTo(Math.min(index, Math.max(0, list.length - 1)));
    screen.selection.isPlaced = staysOnTop ? isPlaced : !isFromTop;
    if (isFromTop && screen.loupe.isOpen) screen.closeLoupe();
    screen.view.reset(showsTop ? null : screen.view.anchor());
    if (list.length) screen.changeSelection(() => {}, { reveals: !staysOnTop });
    screen.remember();
    this.showState();
    screen.rail.load();
  }

  /** The wall shows these images now: load those it lacks. One request at a time, for the latest range. */
  async loadRange(first, last) {
    this.range = [first, last];
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      for (let loaded = null; loaded !== this.range;) {
        loaded = this.range;
        const [first, last] = loaded;
        const arrived = await this.screen.list.ensureLoaded(first, last);
        this.screen.view.refreshSome(arrived);
        if (!arrived.length) await this.loadAround(first, last); // not while the wall flies past
      }
    } catch {
      setTimeout(() => this.showAgain(), RETRY_MILLISECONDS);
    } finally {
      this.isLoading = false;
    }
  }

  /** Load what comes into view next, whichever way the wall is scrolled. */
  async loadAround(first, last) {
    const from = Math.floor((first - AHEAD) / BLOCK) * BLOCK;
    const to = Math.ceil((last + AHEAD) / BLOCK) * BLOCK;
    this.screen.view.refreshSome(await this.screen.list.ensureLoaded(from, to));
  }

  /** Rows were forgotten because they changed: load and show them again. */
  showAgain() {
    const { list, loupe, cursor, view } = this.screen;
    const [first, last] = view.range;
    this.loadRange(first, last);
    if (!loupe.isOpen) return;
    list.ensureLoaded(cursor - 1, cursor + 2).then(
      () => loupe.showWords(),
      () => {}, // the range above is asked for again, and this with it
    );
  }

  /** How many images there are; where there are none, why. */
  showState() {
    const { app, query, list, empty } = this.screen;
    this.showRoom();
    if (list.length) return;
    const isFiltered = query && query !== app.defaultQuery;
    showEmpty(empty, "image", app.status, isFiltered ? () => app.box.set(app.defaultQuery) : null);
  }

  /** Show the images, or the room for words where there are none. */
  showRoom() {
    const { list, viewport, empty, status } = this.screen;
    viewport.hidden = !list.length;
    empty.hidden = !viewport.hidden;
    status.show();
  }
}
