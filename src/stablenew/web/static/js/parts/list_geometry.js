// The arithmetic of a long list, in pixels as if it were as tall as all its rows.
//
// Browsers cut off elements that are too tall (Chromium at 33,554,428 px, Firefox at about half of that), so a long list
// is given fewer pixels than it needs: small movements count one to one, long ones in proportion.

const MAX_SPACER_HEIGHT = 8_000_000;

export class ListGeometry {
  /** @param {{count: number, columns: number, itemHeight: number, viewHeight: number}} sizes */
  constructor({ count, columns, itemHeight, viewHeight }) {
    this.count = count;
    this.columns = columns;
    this.itemHeight = itemHeight;
    this.viewHeight = viewHeight;
    this.height = Math.ceil(count / columns) * itemHeight;
  }

  /** The height of the element that gives the browser something to scroll. */
  get spacerHeight() {
    return Math.min(MAX_SPACER_HEIGHT, this.height);
  }

  /** Whether the list is taller than the element that scrolls. */
  get isScaled() {
    return this.height > MAX_SPACER_HEIGHT;
  }

  /** The largest `top`: the last row is at the lower edge of the view. */
  get maxTop() {
    return Math.max(0, this.height - this.viewHeight);
  }

  /** The largest scroll position of the browser. */
  get maxScroll() {
    return Math.max(0, this.spacerHeight - this.viewHeight);
  }

  clampTop(top) {
    return Math.max(0, Math.min(this.maxTop, top));
  }

  /** Where the browser has to scroll to for `top` to be the upper edge of the view. */
  scrollFor(top) {
    if (!this.isScaled) return top;
    return this.maxTop ? (top / this.maxTop) * this.maxScroll : 0;
  }

  /**
   * The `top` after the browser scrolled from `lastScroll` to `scroll`. In a scaled list a jump of more than two views
   * goes to its share of the whole, and the browser's first and last position are the list's.
   */
  topAfterScroll(top, lastScroll, scroll) {
    if (!this.isScaled) return scroll;
    const moved = scroll - lastScroll;
    if (!moved) return top;
    const reach = 2 * this.viewHeight;
    const after = Math.abs(moved) > reach ? (scroll / this.maxScroll) * this.maxTop : this.clampTop(top + moved);
    if (scroll <= 0 && after <= reach) return 0;
    if (scroll > 0 && scroll >= this.maxScroll - 1 && this.maxTop - after <= reach) return this.maxTop;
    return after;
  }

  /** The items in the view: the first, and the one after the last. */
  visibleRange(top) {
    const first = Math.floor(top / this.itemHeight) * this.columns;
    const last = Math.ceil((top + this.viewHeight) / this.itemHeight) * this.columns;
    return [Math.max(0, first), Math.min(this.count, last)];
  }

  /** The items that exist as elements: those in the view, and half a view before and after. */
  renderedRange(top) {
    const [first, last] = this.visibleRange(top);
    const extra = Math.ceil((last - first) / 2 / this.columns) * this.columns;
    return [Math.max(0, first - extra), Math.min(this.count, last + extra)];
  }

  /** The distance of an item from the upper edge of the list. */
  offsetOf(index) {
    return Math.floor(index / this.columns) * this.itemHeight;
  }

  /** The `top` that brings an item into view with the least movement. */
  topToReveal(index, top) {
    const offset = this.offsetOf(index);
    if (offset < top) return offset;
    return Math.max(top, offset + this.itemHeight - this.viewHeight);
  }

  /** The `top` that keeps the first visible item first when this list becomes `next`, as after a resize. */
  topIn(next, top) {
    if (next.columns === this.columns && next.itemHeight === this.itemHeight) return top;
    return next.offsetOf(Math.floor(top / this.itemHeight) * this.columns);
  }

  /** How many items fit into the view. */
  get pageSize() {
    return Math.max(1, Math.floor(this.viewHeight / this.itemHeight)) * this.columns;
  }
}
