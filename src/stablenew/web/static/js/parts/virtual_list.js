// A list of any length of which only the visible part exists. `list_geometry.js` has its arithmetic.

import { ListGeometry } from "./list_geometry.js";

const SETTLE_MILLISECONDS = 120;
const MAX_SPARE_NODES = 60;

export class VirtualList {
  /**
   * @param {HTMLElement} viewport what scrolls
   * @param {HTMLElement} layer what holds the items; inside the viewport
   * @param {{itemHeight: number | (() => number), columns?: () => number, create: () => HTMLElement, show: (node: any, index: number) => void, move?: (node: any, index: number) => void, onRange?: (first: number, last: number) => void}} options
   */
  constructor(viewport, layer, options) {
    this.viewport = viewport;
    this.layer = layer;
    this.options = options;
    this.count = 0;
    this.top = 0;
    this.lastScroll = 0;
    /** @type {Map<number, any>} */
    this.nodes = new Map();
    this.spare = [];
    this.frame = 0;
    this.settle = 0;
    this.spacer = document.createElement("div");
    this.spacer.className = "spacer";
    this.spacer.setAttribute("aria-hidden", "true");
    viewport.append(this.spacer);
    this.onScroll = () => this.scrolled();
    viewport.addEventListener("scroll", this.onScroll, { passive: true });
    this.laidOut = this.geometry;
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(viewport);
    this.resized();
  }

  close() {
    this.observer.disconnect();
    this.viewport.removeEventListener("scroll", this.onScroll);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settle);
  }

  get columns() {
    return Math.max(1, this.options.columns?.() ?? 1);
  }

  get itemHeight() {
    const height = this.options.itemHeight;
    return typeof height === "function" ? height() : height;
  }

  /** The list as it is measured now. */
  get geometry() {
    const { count, columns, itemHeight } = this;
    return new ListGeometry({ count, columns, itemHeight, viewHeight: this.viewport.clientHeight });
  }

  /** How many items fit into the view. */
  get pageSize() {
    return this.geometry.pageSize;
  }

  setCount(count) {
    this.count = count;
    this.layout(this.top);
  }

  /** Items came before all others: those that are shown keep their nodes and move down. */
  prepend(added) {
    this.nodes = new Map([...this.nodes].map(([index, node]) => [index + added, node]));
    for (const [index, node] of this.nodes) this.options.move?.(node, index);
    this.count += added;
    this.spacer.style.height = `${this.geometry.spacerHeight}px`;
    this.render();
  }

  resized() {
    this.layout(this.laidOut.topIn(this.geometry, this.top));
  }

  layout(top) {
    this.laidOut = this.geometry;
    this.spacer.style.height = `${this.laidOut.spacerHeight}px`;
    this.moveTo(top);
    for (const [index, node] of this.nodes) if (index >= this.count) this.drop(index, node);
    this.render(true);
  }

  /** Make `top`, in pixels of the whole list, the upper edge of the view. */
  moveTo(top) {
    const { geometry } = this;
    this.top = geometry.clampTop(top);
    this.viewport.scrollTop = geometry.scrollFor(this.top);
    this.lastScroll = this.viewport.scrollTop;
  }

  scrolled() {
    const scroll = this.viewport.scrollTop;
    const { geometry } = this;
    this.top = geometry.topAfterScroll(this.top, this.lastScroll, scroll);
    if (geometry.isScaled && scroll !== this.lastScroll) this.settleSoon();
    this.lastScroll = scroll;
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.render();
      });
  }

  /** After a while without movement, bring the scroll bar to where the list is. */
  settleSoon() {
    clearTimeout(this.settle);
    this.settle = setTimeout(() => {
      this.moveTo(this.top);
      this.render();
    }, SETTLE_MILLISECONDS);
  }

  render(isForced = false) {
    const { geometry } = this;
    const [first, last] = geometry.renderedRange(this.top);
    for (const [index, node] of this.nodes) if (index < first || index >= last) this.drop(index, node);
    for (let index = first; index < last; index += 1) {
      const known = this.nodes.get(index);
      const node = known ?? this.addNode(index);
      if (!known || isForced) this.options.show(node, index);
      this.place(node, index, geometry);
    }
    this.options.onRange?.(first, last);
  }

  addNode(index) {
    let node = this.spare.pop();
    if (!node) {
      node = this.options.create();
      this.layer.append(node);
    }
    node.hidden = false;
    this.nodes.set(index, node);
    return node;
  }

  drop(index, node) {
    this.nodes.delete(index);
    node.hidden = true;
    this.spare.push(node);
    if (this.spare.length > MAX_SPARE_NODES) this.spare.shift().remove();
  }

  /** @param {ListGeometry} geometry */
  place(node, index, geometry) {
    const { columns } = geometry;
    const transform = `translateY(${geometry.offsetOf(index) - this.top + this.lastScroll}px)`;
    if (node.style.transform !== transform) node.style.transform = transform;
    if (columns > 1) node.style.left = `${((index % columns) * 100) / columns}%`;
    node.style.width = columns > 1 ? `${100 / columns}%` : "";
  }

  /** Show one item again, if it is in view. */
  refresh(index) {
    const node = this.nodes.get(index);
    if (node) this.options.show(node, index);
  }

  refreshAll() {
    for (const [index, node] of this.nodes) this.options.show(node, index);
  }

  /** Bring an item into view with the least movement. */
  reveal(index) {
    const top = this.geometry.topToReveal(index, this.top);
    if (top !== this.top) this.moveTo(top);
    this.render();
  }

  /** The element of an item, if it is in view. */
  node(index) {
    return this.nodes.get(index);
  }
}
