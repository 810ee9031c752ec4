// Which images a key is about: the one under the cursor, or several that are selected.

const MAX_SELECTED = 2000;

export class ImageSelection {
  constructor() {
    this.cursor = 0;
    /** Where a range begins that is selected with Shift. */
    this.anchor = 0;
    /** Whether somebody put the cursor where it is; the wall puts it on its first image. */
    this.isPlaced = true;
    /** @type {Set<number>} */
    this.selected = new Set();
  }

  /** How many images are selected; 0 when a key is about the cursor's alone. */
  get size() {
    return this.selected.size;
  }

  /** Whether a key is about more than one image. */
  get isBatch() {
    return this.selected.size > 1;
  }

  has(index) {
    return this.selected.has(index);
  }

  /** The images that a key is about, in order. */
  get indexes() {
    return this.isBatch ? [...this.selected].sort((a, b) => a - b) : [this.cursor];
  }

  /** Move the cursor and select nothing. */
  moveTo(index) {
    this.isPlaced = true;
    this.cursor = index;
    this.anchor = index;
    this.selected.clear();
  }

  /** Select what lies between the anchor and `index`, and move the cursor there. */
  extendTo(index) {
    const first = Math.min(this.anchor, index);
    const last = Math.min(Math.max(this.anchor, index), first + MAX_SELECTED - 1);
    this.selected = new Set(Array.from({ length: last - first + 1 }, (_, step) => first + step));
    this.cursor = index;
  }

  /** Add an image to the selection, or take it out, and move the cursor there. */
  toggle(index, { keepsCursor = true } = {}) {
    if (!this.selected.size && keepsCursor && this.isPlaced) this.selected.add(this.cursor);
    if (!this.selected.delete(index)) this.selected.add(index);
    this.cursor = index;
    this.anchor = index;
  }

  /** Select exactly these images, with the cursor on the last. */
  replace(/** @type {number[]} */ indexes) {
    this.selected = new Set(indexes.slice(0, MAX_SELECTED));
    if (indexes.length) this.cursor = indexes[indexes.length - 1];
  }

  /** Select the first `count` images, or as many of them as may be selected at once. */
  selectAll(count) {
    this.anchor = 0;
    this.extendTo(Math.min(count, MAX_SELECTED) - 1);
  }

  /** Images came (`by` > 0) or went before `from`: what is selected stays the same images. */
  shift(from, by) {
    const move = (index) => (index >= from ? Math.max(0, index + by) : index);
    this.cursor = move(this.cursor);
    this.anchor = move(this.anchor);
    this.selected = new Set([...this.selected].map(move));
  }

  /** An image went out of the list. */
  drop(index) {
    this.selected.delete(index);
    this.shift(index + 1, -1);
  }

  clear() {
    this.selected.clear();
  }
}
