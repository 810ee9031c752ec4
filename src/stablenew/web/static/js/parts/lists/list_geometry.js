// The arithmetic of a long list, in pixels as if it were as tall as all its rows.

import { ScrollSpace } from "../../data/images/scroll_space.js";

export class ListGeometry extends ScrollSpace {
  constructor(/** @type {number} */ count, /** @type {number} */ itemHeight, /** @type {number} */ viewHeight) {
    super(count * itemHeight, viewHeight);
    this.count = count;
    this.itemHeight = itemHeight;
  }

  /** The items in the view: the first, and the one after the last. */
  visibleRange(top) {
    const last = Math.ceil((top + this.viewHeight) / this.itemHeight);
    return [Math.max(0, Math.floor(top / this.itemHeight)), Math.min(this.count, last)];
  }

  /** The items that exist as elements: those in the view, and half a view before and after. */
  renderedRange(top) {
    const [first, last] = this.visibleRange(top);
    const extra = Math.ceil((last - first) / 2);
    return [Math.max(0, first - extra), Math.min(this.count, last + extra)];
  }

  /** The distance of an item from the upper edge of the list. */
  offsetOf(index) {
    return index * this.itemHeight;
  }

  /** The `top` that brings an item into view with the least movement. */
  topToReveal(index, top) {
    const offset = this.offsetOf(index);
    if (offset < top) return offset;
    return Math.max(top, offset + this.itemHeight - this.viewHeight);
  }

  /** The `top` that keeps the first visible item first when this list becomes `next`, as after a resize. */
  topIn(next, top) {
    return next.itemHeight === this.itemHeight ? top : next.offsetOf(Math.floor(top / this.itemHeight));
  }

  /** How many items fit into the view. */
  get pageSize() {
    return Math.max(1, Math.floor(this.viewHeight / this.itemHeight));
  }
}
