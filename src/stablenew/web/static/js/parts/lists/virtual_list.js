// A list of any length of which only the visible part exists. `list_geometry.js` has its arithmetic.

import { ListGeometry } from "./list_geometry.js";
import { ScrolledView } from "./scrolled_view.js";

export class VirtualList extends ScrolledView {
  /**
   * @param {HTMLElement} viewport what scrolls
   * @param {HTMLElement} layer what holds the items; inside the viewport
   * @param {{itemHeight: () => number, create: () => HTMLElement, show: (node: any, index: number) => void, move?: (node: any, index: number) => void, onRange?: (first: number, last: number) => void}} options
   */
  constructor(viewport, layer, options) {
    super(viewport, layer);
    this.options = options;
    this.count = 0;
    this.space = this.measure();
    this.observer.observe(viewport);
  }

  create() {
    return this.options.create();
  }

  show(node, index) {
    this.options.show(node, index);
  }

  get itemHeight() {
    return this.options.itemHeight();
  }

  /** The list as it is measured now. */
  measure() {
    return new ListGeometry(this.count, this.itemHeight, this.viewport.clientHeight);
  }

  /** How many items fit into the view. */
  get pageSize() {
    return this.space.pageSize;
  }

  setCount(count) {
    this.count = count;
    for (const [index, node] of this.nodes) if (index >= count) this.drop(index, node);
    this.useSpace(this.measure(), this.top);
  }

  /** Items came before all others: those that are shown keep their nodes and move down. */
  prepend(added) {
    this.nodes = new Map([...this.nodes].map(([index, node]) => [index + added, node]));
    for (const [index, node] of this.nodes) this.options.move?.(node, index);
    this.count += added;
    this.space = this.measure();
    this.spacer.style.height = `${this.space.spacerHeight}px`;
    this.render();
  }

  resized() {
    const next = this.measure();
    this.useSpace(next, this.space.topIn(next, this.top));
  }

  render(isForced = false) {
    const [first, last] = this.space.renderedRange(this.top);
    for (const [index, node] of this.nodes) if (index < first || index >= last) this.drop(index, node);
    for (let index = first; index < last; index += 1) {
      const known = this.nodes.get(index);
      const node = known ?? this.addNode(index);
      if (!known || isForced) this.show(node, index);
      const transform = `translateY(${this.space.offsetOf(index) - this.top + this.lastScroll}px)`;
      if (node.style.transform !== transform) node.style.transform = transform;
    }
    this.options.onRange?.(first, last);
  }

  /** Bring an item into view with the least movement. */
  reveal(index) {
    const top = this.space.topToReveal(index, this.top);
    if (top !== this.top) this.moveTo(top);
    this.render();
  }

  /** The element of an item, if it is in view. */
  node(index) {
    return this.nodes.get(index);
  }
}
