// A list of any length of which only the visible part exists.
//
// Browsers cut off elements that are too tall (Chromium at 33,554,428 px, Firefox at about half of that), so a long list
// is given fewer pixels than it needs: small movements count one to one, long ones in proportion.

const TALLEST = 8_000_000;
const SETTLE_MILLISECONDS = 120;

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

  get rows() {
    return Math.ceil(this.count / this.columns);
  }

  get longest() {
    return Math.max(0, this.rows * this.itemHeight - this.viewport.clientHeight);
  }

  get scrollEnd() {
    return Math.max(0, Math.min(TALLEST, this.rows * this.itemHeight) - this.viewport.clientHeight);
  }

  /** Whether the list is taller than the element that scrolls. */
  get isScaled() {
    return this.rows * this.itemHeight > TALLEST;
  }

  setCount(count) {
    const anchor = this.top;
    this.count = count;
    this.layout(anchor);
  }

  /** Items came before all others: those that are shown keep their nodes and move down. */
  prepend(added) {
    this.nodes = new Map([...this.nodes].map(([index, node]) => [index + added, node]));
    for (const [index, node] of this.nodes) this.options.move?.(node, index);
    this.count += added;
    this.spacer.style.height = `${Math.min(TALLEST, this.rows * this.itemHeight)}px`;
    this.render();
  }

  resized() {
    const first = Math.floor(this.top / (this.lastItemHeight ?? this.itemHeight)) * (this.lastColumns ?? 1);
    const offset =
      this.lastColumns === this.columns && this.lastItemHeight === this.itemHeight
        ? this.top
        : Math.floor(first / this.columns) * this.itemHeight;
    this.layout(offset);
  }

  layout(top) {
    this.lastColumns = this.columns;
    this.lastItemHeight = this.itemHeight;
    this.spacer.style.height = `${Math.min(TALLEST, this.rows * this.itemHeight)}px`;
    this.moveTo(top);
    for (const [index, node] of this.nodes) if (index >= this.count) this.drop(index, node);
    this.render(true);
  }

  /** Go to a place in virtual pixels. */
  moveTo(top) {
    this.top = Math.max(0, Math.min(this.longest, top));
    const wanted = this.isScaled ? (this.longest ? (this.top / this.longest) * this.scrollEnd : 0) : this.top;
    this.viewport.scrollTop = wanted;
    this.lastScroll = this.viewport.scrollTop;
  }

  scrolled() {
    const scroll = this.viewport.scrollTop;
    if (!this.isScaled) this.top = scroll;
    else this.follow(scroll);
    this.lastScroll = scroll;
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.render();
      });
  }

  follow(scroll) {
    const moved = scroll - this.lastScroll;
    if (moved === 0) return;
    const reach = 2 * this.viewport.clientHeight;
    if (Math.abs(moved) > reach) this.top = (scroll / this.scrollEnd) * this.longest;
    else this.top = Math.max(0, Math.min(this.longest, this.top + moved));
    const atEdge = scroll <= 0 ? this.top : scroll >= this.scrollEnd - 1 ? this.longest - this.top : null;
    if (atEdge !== null && atEdge <= reach) this.top = scroll <= 0 ? 0 : this.longest;
    clearTimeout(this.settle);
    this.settle = setTimeout(() => {
      this.moveTo(this.top);
      this.render();
    }, SETTLE_MILLISECONDS);
  }

  /** The items that can be seen: first, and one after the last. */
  get range() {
    const height = this.itemHeight;
    const first = Math.floor(this.top / height) * this.columns;
    const last = Math.ceil((this.top + this.viewport.clientHeight) / height) * this.columns;
    return [Math.max(0, first), Math.min(this.count, last)];
  }

  render(isForced = false) {
    const [first, last] = this.range;
    const extra = Math.ceil((last - first) / 2 / this.columns) * this.columns;
    const from = Math.max(0, first - extra);
    const to = Math.min(this.count, last + extra);
    for (const [index, node] of this.nodes) if (index < from || index >= to) this.drop(index, node);
    for (let index = from; index < to; index += 1) {
      let node = this.nodes.get(index);
      const isNew = !node;
      if (!node) node = this.take(index);
      if (isNew || isForced) this.options.show(node, index);
      this.place(node, index);
    }
    this.options.onRange?.(from, to);
  }

  take(index) {
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
    if (this.spare.length > 60) this.spare.shift().remove();
  }

  place(node, index) {
    const row = Math.floor(index / this.columns);
    const y = row * this.itemHeight - this.top + this.lastScroll;
    const x = ((index % this.columns) * 100) / this.columns;
    const transform = `translateY(${y}px)`;
    if (node.style.transform !== transform) node.style.transform = transform;
    if (this.columns > 1) node.style.left = `${x}%`;
    node.style.width = this.columns > 1 ? `${100 / this.columns}%` : "";
  }

  /** Show one item anew, if it can be seen. */
  refresh(index) {
    const node = this.nodes.get(index);
    if (node) this.options.show(node, index);
  }

  refreshAll() {
    for (const [index, node] of this.nodes) this.options.show(node, index);
  }

  /** Bring an item into view with the least movement. */
  reveal(index) {
    const y = Math.floor(index / this.columns) * this.itemHeight;
    const height = this.viewport.clientHeight;
    if (y < this.top) this.moveTo(y);
    else if (y + this.itemHeight > this.top + height) this.moveTo(y + this.itemHeight - height);
    this.render();
  }

  /** The node of an item that can be seen. */
  node(index) {
    return this.nodes.get(index);
  }

  /** How many items fit into the view. */
  get pageSize() {
    return Math.max(1, Math.floor(this.viewport.clientHeight / this.itemHeight)) * this.columns;
  }
}
