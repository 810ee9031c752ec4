// Something tall that scrolls, of which only the part in view exists: its elements are used again and again.

import { ScrollSpace } from "../../data/images/scroll_space.js";
import { h } from "../dom.js";

const SETTLE_MILLISECONDS = 120;
const MAX_SPARE_NODES = 80;

export class ScrolledView {
  /**
   * @param {HTMLElement} viewport what scrolls
   * @param {HTMLElement} layer what holds the elements; inside the viewport
   */
  constructor(viewport, layer) {
    this.viewport = viewport;
    this.layer = layer;
    this.space = new ScrollSpace(0, 0);
    /** The upper edge of the view, in pixels of the whole. */
    this.top = 0;
    this.lastScroll = 0;
    /** @type {Map<number, any>} */
    this.nodes = new Map();
    this.spare = [];
    this.frame = 0;
    this.settle = 0;
    this.spacer = h("div.spacer", { "aria-hidden": "true" });
    viewport.append(this.spacer);
    this.onScroll = () => this.scrolled();
    viewport.addEventListener("scroll", this.onScroll, { passive: true });
    this.observer = new ResizeObserver(() => this.resized());
  }

  close() {
    this.observer.disconnect();
    this.viewport.removeEventListener("scroll", this.onScroll);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settle);
  }

  /** A new element. @abstract @returns {any} */
  create() {}

  /** Fill the element of an item. @abstract */
  show(/** @type {any} */ _node, /** @type {number} */ _index) {}

  /** Give what is in view its elements; with `isForced` fill them again. @abstract */
  render(_isForced = false) {}

  /** The viewport has another size. @abstract */
  resized() {}

  /** The view moved by so many pixels. @abstract */
  moved(/** @type {number} */ _pixels) {}

  /** What is scrolled now measures this; go to `top` of it and show it. */
  useSpace(/** @type {ScrollSpace} */ space, top) {
    this.space = space;
    this.spacer.style.height = `${space.spacerHeight}px`;
    this.moveTo(top);
    this.render(true);
  }

  /** Make `top`, in pixels of the whole, the upper edge of the view. */
  moveTo(top) {
    this.top = this.space.clampTop(top);
    this.viewport.scrollTop = this.space.scrollFor(this.top);
    this.lastScroll = this.viewport.scrollTop;
  }

  scrolled() {
    const scroll = this.viewport.scrollTop;
    const before = this.top;
    this.top = this.space.topAfterScroll(before, this.lastScroll, scroll);
    if (this.space.isScaled && scroll !== this.lastScroll) this.settleSoon();
    this.lastScroll = scroll;
    this.moved(this.top - before);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  /** After a while without movement, bring the scroll bar to where the view is. */
  settleSoon() {
    clearTimeout(this.settle);
    this.settle = setTimeout(() => {
      this.moveTo(this.top);
      this.render(true);
    }, SETTLE_MILLISECONDS);
  }

  addNode(index) {
    let node = this.spare.pop();
    if (!node) {
      node = this.create();
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

  /** Show one item again, if it is in view. */
  refresh(index) {
    const node = this.nodes.get(index);
    if (node) this.show(node, index);
  }

  refreshAll() {
    for (const [index, node] of this.nodes) this.show(node, index);
  }
}
