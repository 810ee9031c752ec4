// Mouse, pen and finger on the wall: click, Shift, Ctrl, a rectangle drawn over images, long press, and what hovers.

import { debounce, h } from "../../parts/dom.js";
import { offerFile } from "../../parts/images/wall_cell.js";

const DRAG_PIXELS = 6;
const STILL_MILLISECONDS = 120;
const LONG_PRESS_MILLISECONDS = 450;
const EDGE_SCROLL_PIXELS = 40;

export class WallPointer {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.band = h("div.band", { hidden: true });
    this.start = null;
    this.press = 0;
    this.wasDragged = false;
    /** Where the mouse was last, while it is over the wall. @type {PointerEvent | null} */
    this.last = null;
    this.hoverSoon = debounce(
      () => this.last && !this.start && screen.showHover(this.imageAt(this.last)),
      STILL_MILLISECONDS,
    );
    const { viewport } = screen;
    viewport.append(this.band);
    const listeners = {
      pointerdown: (event) => this.onDown(event),
      pointermove: (event) => this.onMove(event),
      pointerup: () => this.end(),
      pointercancel: () => this.end(),
      pointerleave: () => {
        this.last = null;
        this.screen.hoverBar.hide();
      },
      click: (event) => this.onClick(event),
      dblclick: (event) => this.onDoubleClick(event),
      dragstart: (event) => this.onDragStart(event),
      dragover: (event) => screen.order.dragOver(event),
      drop: (event) => screen.order.drop(event),
      dragend: () => screen.order.setDragging(false),
      contextmenu: (event) => this.isTouch && event.preventDefault(),
    };
    for (const [name, listener] of Object.entries(listeners)) viewport.addEventListener(name, listener);
  }

  imageAt(event) {
    return this.screen.view.imageAt(event.clientX, event.clientY);
  }

  /** Whether an image can be dragged away: to another program, or to another place of its album. */
  isDraggable(index) {
    return index >= 0 && (this.screen.selection.has(index) || this.screen.order.isOn);
  }

  onDown(event) {
    this.wasDragged = false;
    this.isTouch = event.pointerType === "touch";
    if (event.button > 0 || event.target.closest(".wall-heading")) return;
    const index = this.imageAt(event);
    if (this.isTouch) {
      this.press = setTimeout(() => this.longPress(index), LONG_PRESS_MILLISECONDS);
      this.start = { x: event.clientX, y: event.clientY };
      return;
    }
    const isFileDrag = this.isDraggable(index) && !event.shiftKey && !event.ctrlKey;
    if (isFileDrag || event.offsetX > this.screen.viewport.clientWidth) return;
    const wall = this.screen.view.toWall(event.clientX, event.clientY);
    const isAdding = event.ctrlKey || event.metaKey || event.shiftKey;
    this.start = {
      x: event.clientX,
      y: event.clientY,
      wall,
      kept: isAdding ? [...this.screen.selection.selected] : [],
    };
  }

  onMove(event) {
    if (this.isTouch) {
      if (this.start && Math.hypot(event.clientX - this.start.x, event.clientY - this.start.y) > DRAG_PIXELS)
        this.end();
      return;
    }
    if (!this.start) return this.hover(event);
    if (!this.wasDragged) {
      if (Math.hypot(event.clientX - this.start.x, event.clientY - this.start.y) < DRAG_PIXELS) return;
      this.wasDragged = true;
      this.screen.hoverBar.hide();
      this.screen.viewport.setPointerCapture(event.pointerId);
    }
    this.stretch(event);
  }

  /** Draw the rectangle from where the drag began to the pointer, and select what it touches. */
  stretch(event) {
    const { screen, start } = this;
    const box = screen.viewport.getBoundingClientRect();
    const below = event.clientY - box.bottom + EDGE_SCROLL_PIXELS;
    const above = box.top + EDGE_SCROLL_PIXELS - event.clientY;
    if (below > 0) screen.viewport.scrollTop += below / 2;
    else if (above > 0) screen.viewport.scrollTop -= above / 2;
    const now = screen.view.toWall(event.clientX, event.clientY);
    const area = {
      left: Math.min(now.x, start.wall.x),
      right: Math.max(now.x, start.wall.x),
      top: Math.min(now.y, start.wall.y),
      bottom: Math.max(now.y, start.wall.y),
    };
    const { view } = screen;
    this.band.hidden = false;
    this.band.style.transform = `translate(${area.left + view.margin}px,${area.top + view.margin - view.top + view.lastScroll}px)`;
    this.band.style.width = `${area.right - area.left}px`;
    this.band.style.height = `${area.bottom - area.top}px`;
    const found = view.layout.imagesIn(area);
    screen.selectImages([...new Set([...start.kept, ...found])]);
  }

  end() {
    clearTimeout(this.press);
    this.start = null;
    this.band.hidden = true;
  }

  longPress(index) {
    this.end();
    if (index < 0) return;
    this.wasDragged = true; // the click that follows is not another wish
    this.screen.changeSelection(() => this.screen.selection.toggle(index, { keepsCursor: false }));
  }

  onClick(event) {
    if (this.wasDragged) {
      this.wasDragged = false;
      return;
    }
    if (event.target.closest(".wall-heading")) return;
    const { screen } = this;
    const index = this.imageAt(event);
    if (index < 0) return screen.clearSelection();
    screen.layer.focus({ preventScroll: true });
    if (screen.order.isPlacing) return screen.order.place(index);
    if (event.target.closest(".stack")) return screen.toggleStack(index);
    const isCorner = event.target.closest(".tick");
    if (event.shiftKey) screen.changeSelection(() => screen.selection.extendTo(index));
    else if (event.ctrlKey || event.metaKey || isCorner)
      screen.changeSelection(() => screen.selection.toggle(index, { keepsCursor: !isCorner }));
    else if (this.isTouch && screen.selection.size)
      screen.changeSelection(() => screen.selection.toggle(index, { keepsCursor: false }));
    else if (this.isTouch) screen.openLoupe(index);
    else screen.moveTo(index);
    if (!this.isTouch) this.hover(event);
  }

  onDoubleClick(event) {
    const index = this.imageAt(event);
    if (index >= 0 && !event.shiftKey && !event.ctrlKey && !event.metaKey) this.screen.openLoupe(index);
  }

  hover(event) {
    if (this.isTouch) return;
    this.last = event;
    if (!event.target.closest(".hover-bar")) this.screen.showHover(this.imageAt(event));
  }

  /** The wall moved under the pointer: hide the bar, and show it where the pointer is once the wall stands still. */
  scrolled() {
    this.screen.hoverBar.hide();
    this.hoverSoon();
  }

  onDragStart(event) {
    const index = this.start ? -1 : this.imageAt(event); // what a rectangle selects is not dragged away with it
    const row = this.screen.list.row(index);
    if (!row || row.isGone || !this.isDraggable(index)) return event.preventDefault();
    offerFile(event, row);
    this.screen.order.dragStart(event, index);
  }
}
