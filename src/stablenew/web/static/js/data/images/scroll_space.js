// How a tall thing is scrolled, in pixels as if the browser could scroll all of it.
//
// Browsers cut off elements that are too tall (Chromium at 33,554,428 px, Firefox at about half of that), so a long list
// is given fewer pixels than it needs: small movements count one to one, long ones in proportion.

const MAX_SPACER_HEIGHT = 8_000_000;

export class ScrollSpace {
  /** @param {number} height of the whole, and of the view */
  constructor(height, viewHeight) {
    this.height = height;
    this.viewHeight = viewHeight;
  }

  /** The height of the element that gives the browser something to scroll. */
  get spacerHeight() {
    return Math.min(MAX_SPACER_HEIGHT, this.height);
  }

  /** Whether the whole is taller than the element that scrolls. */
  get isScaled() {
    return this.height > MAX_SPACER_HEIGHT;
  }

  /** The largest `top`: the end is at the lower edge of the view. */
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
}
