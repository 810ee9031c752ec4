// A picture that can be zoomed and moved: by wheel and pinch to the pointer, by dragging, one to one and back.

const MAX_SCALE = 16;
const WHEEL_STEP = 1.0022;
/** A movement becomes a drag after so many pixels. */
const DRAG_PIXELS = 8;
/** Touches that begin nearer to the left or right edge belong to the system's back gesture. */
const EDGE_PIXELS = 24;
const SWIPE_SHARE = 0.2;
const SWIPE_SPEED = 0.5;
const CLOSE_SHARE = 0.18;

/** Where a picture lies: scale of its own pixels, left and top in the stage. @typedef {{scale: number, x: number, y: number}} Place */

/** The place that shows a picture whole, in the middle; small ones are not enlarged beyond `most`. */
export function fitPlace(stage, picture, most = 1) {
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height, Math.max(most, 0.01));
  return {
    scale,
    x: (stage.width - picture.width * scale) / 2,
    y: (stage.height - picture.height * scale) / 2,
  };
}

/** The place after zooming by `factor` so that the point (px, py) of the stage stays on the same spot of the picture. */
export function zoomPlace(place, factor, px, py) {
  return { scale: place.scale * factor, x: px - (px - place.x) * factor, y: py - (py - place.y) * factor };
}

/** `place` moved so that a picture larger than the stage covers it, and a smaller one lies within. */
export function clampPlace(place, stage, picture) {
  const clampAxis = (at, room, size) => Math.max(Math.min(0, room - size), Math.min(Math.max(0, room - size), at));
  return {
    scale: place.scale,
    x: clampAxis(place.x, stage.width, picture.width * place.scale),
    y: clampAxis(place.y, stage.height, picture.height * place.scale),
  };
}

export class ZoomView {
  /**
   * @param {HTMLElement} stage
   * @param {{onChange: () => void, onSwipe: (step: number) => void, onPull: (direction: "up" | "down") => void,
   *   onTap: () => void}} options
   */
  constructor(stage, options) {
    this.stage = stage;
    this.options = options;
    this.picture = { width: 1, height: 1 };
    /** @type {HTMLElement | null} */
    this.element = null;
    this.place = { scale: 1, x: 0, y: 0 };
    this.isFit = true;
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    /** @type {any} */
    this.drag = null;
    this.frame = 0;
    stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.onDown(event));
    stage.addEventListener("pointermove", (event) => this.onMove(event));
    stage.addEventListener("pointerup", (event) => this.onUp(event));
    stage.addEventListener("pointercancel", (event) => this.onCancel(event));
    stage.addEventListener("dblclick", (event) => {
      if (this.isPicture(event.target)) this.toggle(...this.point(event));
    });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(stage);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  isPicture(/** @type {any} */ target) {
    return target === this.stage || target === this.element;
  }

  /** Show another picture of `width` by `height` pixels. It is fitted, unless one looks at the same spot of each. */
  show(/** @type {HTMLElement} */ element, width, height, { keepsPlace = false } = {}) {
    const isSame = this.picture.width === width && this.picture.height === height;
    this.element = element;
    this.picture = { width, height };
    element.style.width = `${width}px`;
    element.style.height = `${height}px`;
    if (!(keepsPlace && isSame && !this.isFit)) this.fit();
    else this.write();
  }

  get box() {
    return { width: this.stage.clientWidth || 1, height: this.stage.clientHeight || 1 };
  }

  get fitted() {
    return fitPlace(this.box, this.picture, 1 / (window.devicePixelRatio || 1) > 1 ? 1 : Math.max(1, this.upscale));
  }

  /** Small pictures may be enlarged to twice their size when they are fitted. */
  get upscale() {
    return 2;
  }

  /** The smallest scale it can be zoomed to. */
  get least() {
    return Math.min(this.fitted.scale, 1);
  }

  /** How large the picture is shown, 1 for pixel by pixel. */
  get scale() {
    return this.place.scale * (window.devicePixelRatio || 1);
  }

  fit() {
    this.isFit = true;
    this.place = this.fitted;
    this.write();
  }

  /** Pixel for pixel around a point of the stage; fitted when it was zoomed already. */
  toggle(px = this.box.width / 2, py = this.box.height / 2) {
    if (!this.isFit) this.fit();
    else this.zoomTo(1 / (window.devicePixelRatio || 1), px, py);
  }

  zoomTo(scale, px = this.box.width / 2, py = this.box.height / 2) {
    const fitted = this.fitted.scale;
    const wanted = Math.max(this.least, Math.min(MAX_SCALE, scale));
    this.place = clampPlace(zoomPlace(this.place, wanted / this.place.scale, px, py), this.box, this.picture);
    this.isFit = Math.abs(this.place.scale - fitted) < 1e-3 * fitted;
    if (this.isFit) this.place = this.fitted;
    this.write();
  }

  zoomBy(factor, px, py) {
    this.zoomTo(this.place.scale * factor, px, py);
  }

  panBy(dx, dy) {
    this.place = clampPlace({ ...this.place, x: this.place.x + dx, y: this.place.y + dy }, this.box, this.picture);
    this.write();
  }

  resized() {
    if (this.isFit) this.fit();
    else this.panBy(0, 0);
  }

  /** Move the picture there, once a frame. */
  write() {
    if (this.frame) return;
    this.writeNow();
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.writeNow();
    });
  }

  writeNow() {
    const { scale, x, y } = this.place;
    if (!this.element) return;
    this.element.style.transform = `matrix(${scale},0,0,${scale},${x},${y})`;
    this.stage.classList.toggle("zoomed", !this.isFit);
    this.element.draggable = this.isFit;
    this.element.classList.toggle("pixels", this.scale >= 3);
    this.options.onChange();
  }

  /** @returns {[number, number]} */
  point(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    const step = event.ctrlKey ? 4 : 1; // a pinch on a touch pad arrives as a wheel with Ctrl
    this.zoomBy(WHEEL_STEP ** (-event.deltaY * lines * step), ...this.point(event));
  }

  onDown(event) {
    if (!this.isPicture(event.target) || event.button > 0) return;
    const box = this.stage.getBoundingClientRect();
    const isTouch = event.pointerType === "touch";
    const isAtEdge = event.clientX - box.left < EDGE_PIXELS || box.right - event.clientX < EDGE_PIXELS;
    if (isTouch && this.isFit && isAtEdge && !this.pointers.size) return;
    if (!isTouch && this.isFit) return; // a drag with the mouse takes the file out
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.drag = { x: event.clientX, y: event.clientY, at: event.timeStamp, way: this.pointers.size > 1 ? "pinch" : "" };
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.drag) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.drag.way === "pinch") this.pinch(event.pointerId, now);
    else this.dragTo(event, before, now);
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, point]) => point);
    const before = this.pointers.get(id);
    if (!other || !before) return;
    const spread = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = this.point({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2, target: this.stage });
    this.zoomBy(spread(now, other) / spread(before, other), ...middle);
    if (!this.isFit) this.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  dragTo(event, before, now) {
    const dx = now.x - this.drag.x;
    const dy = now.y - this.drag.y;
    if (!this.drag.way) {
      if (Math.hypot(dx, dy) < DRAG_PIXELS) return;
      this.drag.way = !this.isFit ? "pan" : Math.abs(dx) > Math.abs(dy) ? "swipe" : "pull";
      this.stage.setPointerCapture(event.pointerId);
    }
    if (this.drag.way === "pan") this.panBy(now.x - before.x, now.y - before.y);
    else this.shift(this.drag.way === "swipe" ? dx : 0, this.drag.way === "pull" ? Math.max(0, dy) : 0);
  }

  /** Let the picture follow the finger. */
  shift(dx, dy) {
    const { scale, x, y } = this.fitted;
    if (this.element) this.element.style.transform = `matrix(${scale},0,0,${scale},${x + dx},${y + dy})`;
  }

  onUp(event) {
    if (!this.pointers.delete(event.pointerId) || !this.drag) return;
    const { drag } = this;
    const dx = event.clientX - drag.x;
    const dy = event.clientY - drag.y;
    const speed = (distance) => Math.abs(distance) / Math.max(1, event.timeStamp - drag.at);
    if (drag.way === "pinch" && this.pointers.size) return;
    this.drag = null;
    if (!drag.way && event.pointerType === "touch") this.options.onTap();
    else if (drag.way === "swipe" && (Math.abs(dx) > SWIPE_SHARE * this.box.width || speed(dx) > SWIPE_SPEED)) {
      this.options.onSwipe(dx < 0 ? 1 : -1);
      this.writeNow();
    } else if (drag.way === "pull" && Math.abs(dy) > CLOSE_SHARE * this.box.height) {
      this.writeNow();
      this.options.onPull(dy > 0 ? "down" : "up");
    } else this.writeNow();
  }

  onCancel(event) {
    this.pointers.delete(event.pointerId);
    this.drag = null;
    this.writeNow();
  }
}
