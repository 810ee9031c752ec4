// The cells of a grid: only those in view are in the page, headings stay at the edges, holes are drawn as holes.

import { fill, h } from "../../parts/dom.js";
import { settingTitle } from "../../data/images/image_facts.js";

const GAP = 4;
const HEAD = 32;
const SIDE = 112;
const SMALLEST = 48;
const LARGEST = 512;
/** How wide cells are that do not all fit beside each other. */
const FIRST = 168;
/** How wide they are where they do. */
const [NARROWEST, WIDEST] = [112, 320];

/** @typedef {{x: number, y: number, count: number, images: number[], rating: number | null, top?: number}} Cell */

const range = (count) => Array.from({ length: count }, (_, place) => place);
const stars = ({ rating }) => rating ?? -1;

export class GridView {
  constructor(room, grid, { draw, onMove, onRest, onRate, loader }) {
    this.room = room;
    this.grid = grid;
    this.options = { draw, onMove, onRest, onRate, loader };
    this.columnsOfPanel = grid.x.values.length;
    this.rowsOfPanel = grid.y?.values.length ?? 1;
    this.columns = this.columnsOfPanel * (grid.across?.values.length ?? 1);
    this.rowCount = this.rowsOfPanel * (grid.panel?.values.length ?? 1);
    /** What is in the columns and in the rows of a panel: places of values, as they are sorted now. */
    this.order = { x: range(this.columnsOfPanel), y: range(this.rowsOfPanel) };
    /** The heading by which the rows or columns are sorted. @type {string | null} */
    this.sortedBy = null;
    /** @type {Map<number, Cell>} */
    this.cells = new Map();
    this.arrange();
    this.space = h("div.grid-space");
    fill(room, this.space);
    /** @type {Map<number, any>} */
    this.nodes = new Map();
    /** @type {any[]} */
    this.edges = [];
    /** @type {Cell | null} */
    this.cursor = null;
    const share = Math.floor((room.clientWidth - SIDE) / this.columns - GAP);
    const size = share < NARROWEST ? FIRST : Math.min(WIDEST, share);
    this.cell = { width: size, height: size };
    this.frame = 0;
    this.rest = 0;
    room.addEventListener("scroll", () => this.schedule(), { passive: true });
    room.addEventListener("pointerover", (event) => this.onOver(event));
    room.addEventListener("pointerleave", () => this.options.onMove(this.cursor));
    room.addEventListener("click", (event) => this.onClick(event));
    this.observer = new ResizeObserver(() => this.schedule());
  }

  /** Put every cell where its values now are. */
  arrange() {
    const { grid, order } = this;
    this.cells.clear();
    for (const [x, y, panel, across, count, images, rating] of grid.cells) {
      const place = {
        x: across * this.columnsOfPanel + order.x.indexOf(x),
        y: panel * this.rowsOfPanel + order.y.indexOf(y),
      };
      this.cells.set(this.key(place.x, place.y), { ...place, count, images, rating });
    }
  }

  /** Sort the rows by the stars in a column, or the columns by those in a row; the same again, or null, ends that. */
  sortBy(/** @type {string | null} */ heading) {
    this.sortedBy = heading === this.sortedBy ? null : heading;
    this.order = { x: range(this.columnsOfPanel), y: range(this.rowsOfPanel) };
    this.arrange();
    if (this.sortedBy) {
      const [axis, at] = this.sortedBy.split(" ");
      const cells = [...this.cells.values()].filter((cell) => cell[axis] === Number(at));
      const [other, size] = axis === "x" ? ["y", this.rowsOfPanel] : ["x", this.columnsOfPanel];
      const starsOf = (place) => Math.max(-1, ...cells.filter((cell) => cell[other] % size === place).map(stars));
      this.order[other].sort((a, b) => starsOf(b) - starsOf(a));
      this.arrange();
    }
    this.cursor = null;
    this.resize();
  }

  /** Show the cells. */
  start() {
    this.observer.observe(this.room);
    this.resize();
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
  }

  key(x, row) {
    return row * this.columns + x;
  }

  /** The cell with an image that is nearest to the corner. */
  get firstCell() {
    return [...this.cells.values()].reduce((best, cell) => (cell.x + cell.y < best.x + best.y ? cell : best));
  }

  get holes() {
    return this.columns * this.rowCount - this.cells.size;
  }

  /** The values that a column stands for: of the panel, and within it. */
  columnNames(x) {
    const { grid, order, columnsOfPanel } = this;
    return [grid.across?.values[Math.floor(x / columnsOfPanel)], grid.x.values[order.x[x % columnsOfPanel]]];
  }

  rowNames(y) {
    const { grid, order, rowsOfPanel } = this;
    return [grid.panel?.values[Math.floor(y / rowsOfPanel)], grid.y?.values[order.y[y % rowsOfPanel]]];
  }

  titleOf({ x, y }) {
    return [...this.columnNames(x), ...this.rowNames(y)].filter(Boolean).join(", ");
  }

  zoomBy(factor) {
    this.setSize(Math.max(SMALLEST, Math.min(LARGEST, Math.round(this.cell.width * factor))));
  }

  /** Give the cells the shape of the pictures: `ratio` is height divided by width. */
  setRatio(ratio) {
    if (this.ratio) return;
    this.ratio = Math.max(0.4, Math.min(2, ratio));
    this.setSize(this.cell.width);
    if (this.cursor) this.moveTo(this.cursor); // cells of another height stand elsewhere
  }

  setSize(width) {
    this.cell = { width, height: Math.round(width * (this.ratio ?? 1)) };
    this.resize();
  }

  resize() {
    const { width, height } = this.cell;
    this.space.style.width = `${SIDE + this.columns * (width + GAP)}px`;
    this.space.style.height = `${HEAD + this.rowCount * (height + GAP)}px`;
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
    this.update();
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.options.loader.moved(Math.abs(this.room.scrollTop - this.lastTop));
      this.update();
    });
  }

  /** The range of columns and rows in view. */
  get range() {
    const { width, height } = this.cell;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.room;
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    return {
      left: clamp(Math.floor(scrollLeft / (width + GAP)), this.columns),
      right: clamp(Math.ceil((scrollLeft + clientWidth) / (width + GAP)), this.columns),
      top: clamp(Math.floor(scrollTop / (height + GAP)), this.rowCount),
      bottom: clamp(Math.ceil((scrollTop + clientHeight) / (height + GAP)), this.rowCount),
    };
  }

  update() {
    const { left, right, top, bottom } = this.range;
    this.lastTop = this.room.scrollTop;
    const wanted = new Set();
    for (let row = top; row < bottom; row += 1) for (let x = left; x < right; x += 1) wanted.add(this.key(x, row));
    for (const [key, node] of this.nodes) {
      if (wanted.has(key)) continue;
      if (node.picture) this.options.loader.clear(node.picture);
      node.remove();
      this.nodes.delete(key);
    }
    for (const key of wanted) if (!this.nodes.has(key)) this.add(key);
    this.drawEdges(left, right, top, bottom);
    clearTimeout(this.rest);
    this.rest = setTimeout(
      () => this.options.onRest([...wanted].map((key) => this.cells.get(key)).filter(Boolean)),
      60,
    );
  }

  add(key) {
    const cell = this.cells.get(key);
    const x = key % this.columns;
    const row = Math.floor(key / this.columns);
    const { width, height } = this.cell;
    const style = {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(${SIDE + x * (width + GAP)}px, ${HEAD + row * (height + GAP)}px)`,
    };
    const node = h("div", { class: cell ? "grid-cell" : "grid-cell hole", style, data: { key } });
    if (cell) {
      node.picture = h("img", { alt: "", draggable: "false" });
      node.count = h("span.count", { title: "images in this stack" });
      node.mine = h("span.mine");
      node.append(node.picture, node.count, node.mine);
      node.classList.toggle("cursor", cell === this.cursor);
      this.options.draw(node, cell);
    } else node.textContent = "–";
    this.nodes.set(key, node);
    this.space.append(node);
  }

  /** The headings in view, kept at the edges while the cells move beneath. */
  drawEdges(left, right, top, bottom) {
    const { grid, room } = this;
    const { width, height } = this.cell;
    const nodes = [];
    const put = (name, names, heading, x, y, w, t) => {
      const text = names.filter(Boolean).join(" · ");
      const isSorted = heading && heading === this.sortedBy;
      const style = { width: `${w}px`, height: `${t}px`, transform: `translate(${x}px, ${y}px)` };
      const title = heading ? `${text}: sort by its stars` : "Sort by value";
      const click = () => this.sortBy(heading);
      nodes.push(
        h(
          `button.${name}`,
          { title, style, click, "aria-pressed": String(Boolean(isSorted)) },
          h("span", isSorted ? `${text} ★` : text),
        ),
      );
    };
    for (let x = left; x < right; x += 1)
      put("grid-head", this.columnNames(x), `x ${x}`, SIDE + x * (width + GAP), room.scrollTop, width, HEAD);
    for (let y = top; y < bottom; y += 1)
      put("grid-side", this.rowNames(y), `y ${y}`, room.scrollLeft, HEAD + y * (height + GAP), SIDE, height);
    const names = [grid.y && `${settingTitle(grid.y.name)} ↓`, `${settingTitle(grid.x.name)} →`].filter(Boolean);
    put("grid-corner", [names.join(" ")], null, room.scrollLeft, room.scrollTop, SIDE, HEAD);
    for (const node of this.edges) node.remove();
    this.edges = nodes;
    this.space.append(...nodes);
  }

  redraw() {
    for (const [key, node] of this.nodes) {
      const cell = this.cells.get(key);
      if (!cell) continue;
      node.classList.toggle("cursor", cell === this.cursor);
      this.options.draw(node, cell);
    }
  }

  cellOf(event) {
    const node = event.target instanceof Element ? event.target.closest(".grid-cell") : null;
    return node ? (this.cells.get(Number(node.getAttribute("data-key"))) ?? null) : null;
  }

  onOver(event) {
    const cell = this.cellOf(event);
    if (cell && event.pointerType === "mouse") this.options.onMove(cell);
  }

  onClick(event) {
    const cell = this.cellOf(event);
    if (cell) this.options.onRate(cell);
  }

  neighbour(cell, dx, dy) {
    return this.cells.get(this.key(cell.x + dx, cell.y + dy)) ?? null;
  }

  /** The next cell with an image in a direction; the cursor where there is none. */
  step(dx, dy) {
    const from = this.cursor;
    if (!from) return this.firstCell;
    for (
      let x = from.x + dx, y = from.y + dy;
      x >= 0 && y >= 0 && x < this.columns && y < this.rowCount;
      x += dx, y += dy
    ) {
      const found = this.cells.get(this.key(x, y));
      if (found) return found;
    }
    return from;
  }

  moveTo(cell) {
    this.cursor = cell;
    const { room } = this;
    const { width, height } = this.cell;
    const x = cell.x * (width + GAP);
    const y = cell.y * (height + GAP);
    if (x < room.scrollLeft) room.scrollLeft = x;
    else if (x + width + SIDE > room.scrollLeft + room.clientWidth)
      room.scrollLeft = x + width + SIDE - room.clientWidth;
    if (y < room.scrollTop) room.scrollTop = y;
    else if (y + height + HEAD > room.scrollTop + room.clientHeight)
      room.scrollTop = y + height + HEAD - room.clientHeight;
    this.update();
    this.redraw();
  }
}
