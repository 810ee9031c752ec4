// The wall of images: rows of equal height that fill the width, of which only the part in view exists.

import { JustifiedLayout } from "../../data/images/justified_layout.js";
import { ScrollSpace } from "../../data/images/scroll_space.js";
import { ScrolledView } from "../lists/scrolled_view.js";
import { PictureLoader } from "./picture_loader.js";
import { createCell, sharpThumbnail, showCell } from "./wall_cell.js";

export const GAP = 4;
const HEADING_HEIGHT = 34;
/** How much of the view before and after it is kept ready. */
const AHEAD = 0.6;

export class WallView extends ScrolledView {
  /**
   * @param {HTMLElement} viewport what scrolls
   * @param {HTMLElement} layer what holds the images; inside the viewport
   * @param {{list: import("../../data/images/image_list.js").ImageList, rowHeight: () => number,
   *   stateOf: (index: number) => {isSelected: boolean, isCursor: boolean},
   *   createHeading: () => HTMLElement, showHeading: (node: any, first: number, last: number) => void,
   *   onRange: (first: number, last: number) => void, onScrolled: () => void}} options
   */
  constructor(viewport, layer, options) {
    super(viewport, layer);
    this.options = options;
    this.list = options.list;
    this.pictures = new PictureLoader();
    /** @type {Map<number, any>} */
    this.headings = new Map();
    this.spareHeadings = [];
    this.range = [0, 0];
    this.layout = this.buildLayout();
    this.width = 0;
    this.viewHeight = 0;
    this.observer.observe(viewport);
  }

  create() {
    return createCell();
  }

  buildLayout() {
    this.width = this.viewport.clientWidth - 2 * this.margin;
    this.viewHeight = this.viewport.clientHeight;
    const sizes = { width: this.width, rowHeight: this.options.rowHeight(), gap: GAP, headingHeight: HEADING_HEIGHT };
    return new JustifiedLayout(this.list.ratios, this.list.starts, sizes);
  }

  /** The space left and right of the images. */
  get margin() {
    return window.innerWidth <= 700 ? 0 : GAP;
  }

  resized() {
    const { clientWidth, clientHeight } = this.viewport;
    if (!clientHeight) return;
    if (clientWidth - 2 * this.margin === this.width && clientHeight === this.viewHeight) return;
    this.relayout();
  }

  /** Lay everything out again; what is in view stays where it is. `keep` is an image to keep in its place. */
  relayout(keep = this.anchor()) {
    this.layout = this.buildLayout();
    const space = new ScrollSpace(this.layout.height + 2 * this.margin, this.viewHeight);
    const top =
      keep && keep.index < this.list.length ? this.layout.boxOf(keep.index).top + this.margin - keep.offset : 0;
    this.useSpace(space, top);
  }

  /** The image at the upper edge of the view, and how far below the edge it is; null at the very top. */
  anchor() {
    if (this.top <= 0 || !this.layout.count) return null;
    let index = -1;
    this.layout.walk(this.top, this.top + this.viewHeight, (candidate, _left, top) => {
      if (index < 0 && top >= this.top - 1) index = candidate;
    });
    if (index < 0) return null;
    return { index, offset: this.layout.boxOf(index).top + this.margin - this.top };
  }

  /** `added` images came before all others: nothing that is in view moves, unless the view is at the top. */
  prepended(added) {
    const keep = this.anchor();
    this.dropAll();
    this.relayout(keep && { index: keep.index + added, offset: keep.offset });
  }

  /** Other images are in the list: show it from the top, or with one of them in place. */
  reset(keep = null) {
    this.dropAll();
    this.relayout(keep);
  }

  moved(pixels) {
    this.pictures.moved(pixels);
    if (pixels) this.options.onScrolled();
  }

  render(isForced = false) {
    const from = this.top - AHEAD * this.viewHeight;
    const to = this.top + (1 + AHEAD) * this.viewHeight;
    const shift = this.margin - this.top + this.lastScroll;
    const boxes = new Map();
    const heads = new Map();
    this.layout.walk(
      from,
      to,
      (index, left, top, width, height) => boxes.set(index, [left + this.margin, top + shift, width, height]),
      (first, last, top) => heads.set(first, [last, top + shift]),
    );
    for (const [index, node] of this.nodes) if (!boxes.has(index)) this.drop(index, node);
    for (const [first, node] of this.headings) if (!heads.has(first)) this.dropHeading(first, node);
    for (const [index, box] of boxes) this.place(index, box, isForced);
    for (const [first, [last, top]] of heads) this.placeHeading(first, last, top, isForced);
    const indexes = [...boxes.keys()];
    this.range = indexes.length ? [indexes[0], indexes[indexes.length - 1] + 1] : [0, 0];
    this.options.onRange(this.range[0], this.range[1]);
  }

  place(index, [left, top, width, height], isForced) {
    const known = this.nodes.get(index);
    const node = known ?? this.addNode(index);
    node.parts.picture.isInView = top + height > this.lastScroll && top < this.lastScroll + this.viewHeight;
    const transform = `translate(${left.toFixed(2)}px,${top.toFixed(2)}px)`;
    if (node.style.transform !== transform) node.style.transform = transform;
    if (node.boxWidth !== width || node.boxHeight !== height) {
      node.style.width = `${width.toFixed(2)}px`;
      node.style.height = `${height.toFixed(2)}px`;
      node.classList.toggle("small", width < 140);
      Object.assign(node, { boxWidth: width, boxHeight: height });
    }
    if (!known || isForced) this.show(node, index);
  }

  show(node, index) {
    const row = this.list.row(index);
    showCell(node, row, { index, count: this.list.length, ...this.options.stateOf(index) });
    if (row && !row.isGone) this.pictures.show(node.parts.picture, sharpThumbnail(row, node.boxWidth, node.boxHeight));
    else this.pictures.clear(node.parts.picture);
  }

  placeHeading(first, last, top, isForced) {
    let node = this.headings.get(first);
    if (!node || isForced) {
      if (!node) {
        node = this.spareHeadings.pop() ?? this.options.createHeading();
        if (!node.isConnected) this.layer.parentElement?.append(node);
        node.hidden = false;
        this.headings.set(first, node);
      }
      this.options.showHeading(node, first, last);
    }
    node.style.transform = `translateY(${top.toFixed(2)}px)`;
  }

  drop(index, node) {
    this.pictures.clear(node.parts.picture);
    node.removeAttribute("id");
    node.removeAttribute("aria-posinset");
    super.drop(index, node);
  }

  dropHeading(first, node) {
    this.headings.delete(first);
    node.hidden = true;
    this.spareHeadings.push(node);
  }

  dropAll() {
    for (const [index, node] of this.nodes) this.drop(index, node);
    for (const [first, node] of this.headings) this.dropHeading(first, node);
  }

  refreshAll() {
    super.refreshAll();
    this.refreshHeadings();
  }

  /** Show these images again, as far as they are in view. */
  refreshSome(/** @type {number[]} */ indexes) {
    for (const index of indexes) this.refresh(index);
    if (indexes.length) this.refreshHeadings();
  }

  refreshHeadings() {
    for (const [first, node] of this.headings)
      this.options.showHeading(node, first, this.layout.groupEnd(this.layout.blockOf(first)));
  }

  /** Bring an image into view with the least movement. */
  reveal(index) {
    if (index >= this.layout.count) return;
    const box = this.layout.boxOf(index);
    const row = this.layout.rowOf(index);
    const isHeaded = this.layout.headed[row.block] && row.first === this.layout.firsts[row.block];
    const top = box.top + this.margin - (isHeaded ? HEADING_HEIGHT : 0) - GAP;
    const bottom = box.top + this.margin + box.height + GAP;
    if (top < this.top) this.moveTo(top);
    else if (bottom > this.top + this.viewHeight) this.moveTo(Math.min(top, bottom - this.viewHeight));
    else return;
    this.render();
  }

  /** The image some rows up or down from another. */
  stepRows(index, rows) {
    let at = index;
    for (let step = 0; step < Math.abs(rows); step += 1) at = this.layout.neighbour(at, Math.sign(rows));
    return at;
  }

  /** How many rows fit into the view. */
  get rowsInView() {
    return Math.max(1, Math.floor(this.viewHeight / (this.options.rowHeight() + GAP)));
  }

  /** A point of the window as a place of the wall. */
  toWall(clientX, clientY) {
    const box = this.viewport.getBoundingClientRect();
    return { x: clientX - box.left - this.margin, y: clientY - box.top - this.margin + this.top };
  }

  /** The image at a point of the window; -1 for none. */
  imageAt(clientX, clientY) {
    const { x, y } = this.toWall(clientX, clientY);
    return this.layout.imageAt(x, y);
  }

  /** Where an image stands in the scrolled content, to put something over it. */
  placeOf(index) {
    const { left, top, width, height } = this.layout.boxOf(index);
    return { left: left + this.margin, top: top + this.margin - this.top + this.lastScroll, width, height };
  }
}
