// The pictures of a comparison, moved and zoomed in step; two can lie on each other.

import { outputUrl, thumbnailUrl } from "../../data/api.js";
import { clampPlace, fitPlace, zoomPlace } from "../../parts/images/zoom_view.js";
import { fill, h } from "../../parts/dom.js";

const MAX_SCALE = 16;
const WHEEL_STEP = 1.0022;
const FLICKER_MILLISECONDS = 400;
export const MODES = ["side by side", "wipe", "flicker", "difference"];

export class Stage {
  constructor() {
    this.element = h("div.panes");
    this.rows = [];
    this.mode = MODES[0];
    this.split = 0.5;
    this.place = { scale: 1, x: 0, y: 0 };
    this.isFit = true;
    this.frame = 0;
    this.timer = 0;
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    this.element.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.onDown(event));
    this.element.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"])
      this.element.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    this.element.addEventListener("dblclick", (event) => this.toggle(event));
    this.observer = new ResizeObserver(() => this.arrange());
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    clearInterval(this.timer);
  }

  show(rows, mode = this.mode) {
    this.rows = rows;
    this.mode = mode;
    clearInterval(this.timer);
    const pictures = rows.map((row, place) => buildPicture(row, rows[0], place));
    const isStacked = mode !== MODES[0] && rows.length === 2;
    this.panes = isStacked
      ? [h("div", { class: `pane ${mode}` }, pictures)]
      : pictures.map((picture) => h("div.pane", picture));
    this.pictures = pictures;
    fill(this.element, this.panes);
    this.edge = null;
    if (isStacked && mode === "wipe") {
      this.edge = h("div.wipe-edge");
      this.panes[0].append(this.edge);
    }
    if (isStacked && mode === "flicker")
      this.timer = setInterval(() => this.panes[0].classList.toggle("second"), FLICKER_MILLISECONDS);
    this.arrange();
  }

  /** As many columns as show the pictures largest. */
  arrange() {
    const count = this.panes?.length ?? 0;
    if (!count) return;
    const { clientWidth: width, clientHeight: height } = this.element;
    const [{ width: w, height: t }] = this.rows;
    const scaleWith = (columns) => Math.min(width / columns / (w || 1), height / Math.ceil(count / columns) / (t || 1));
    const columns = [1, 2, 3, 4]
      .slice(0, count)
      .reduce((best, next) => (scaleWith(next) > scaleWith(best) ? next : best));
    this.element.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    this.element.style.gridTemplateRows = `repeat(${Math.ceil(count / columns)}, 1fr)`;
    if (this.isFit) this.fit();
    else this.move(this.place);
  }

  get box() {
    return { width: this.panes[0].clientWidth || 1, height: this.panes[0].clientHeight || 1 };
  }

  get picture() {
    return { width: this.rows[0].width || 1, height: this.rows[0].height || 1 };
  }

  fit() {
    this.isFit = true;
    this.place = fitPlace(this.box, this.picture, 4);
    this.write();
  }

  move(place) {
    this.place = clampPlace(place, this.box, this.picture);
    this.write();
  }

  zoomBy(factor, px, py) {
    const least = fitPlace(this.box, this.picture, 4).scale;
    const wanted = Math.max(least, Math.min(MAX_SCALE, this.place.scale * factor));
    this.isFit = wanted <= least * 1.001;
    if (this.isFit) this.fit();
    else this.move(zoomPlace(this.place, wanted / this.place.scale, px, py));
  }

  toggle(event) {
    const [px, py] = this.point(event);
    if (this.isFit) this.zoomBy(1 / (window.devicePixelRatio || 1) / this.place.scale, px, py);
    else this.fit();
  }

  write() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const { scale, x, y } = this.place;
      for (const picture of this.pictures) picture.style.transform = `matrix(${scale},0,0,${scale},${x},${y})`;
      if (this.edge) this.writeWipe(scale, x);
    });
  }

  writeWipe(scale, x) {
    const at = this.split * this.box.width;
    this.edge.style.left = `${at}px`;
    this.pictures[1].style.clipPath = `inset(0 0 0 ${Math.max(0, (at - x) / scale)}px)`;
  }

  /** @returns {[number, number]} */
  point(event) {
    const pane = this.panes.find((one) => one.contains(event.target)) ?? this.panes[0];
    const { left, top } = pane.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    this.zoomBy(WHEEL_STEP ** (-event.deltaY * lines * (event.ctrlKey ? 4 : 1)), ...this.point(event));
  }

  onDown(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.edge && this.isFit) this.wipeTo(event);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    this.pointers.set(event.pointerId, now);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const spread = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      const { left, top } = this.panes[0].getBoundingClientRect();
      this.zoomBy(spread(now) / spread(before), (now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top);
    } else if (this.edge && this.isFit) this.wipeTo(event);
    else if (!this.isFit)
      this.move({ ...this.place, x: this.place.x + now.x - before.x, y: this.place.y + now.y - before.y });
  }

  wipeTo(event) {
    const { left, width } = this.panes[0].getBoundingClientRect();
    this.split = Math.max(0, Math.min(1, (event.clientX - left) / width));
    this.write();
  }
}

/** A picture of the size of the first: soft at once, sharp when it was decoded. */
function buildPicture(row, first, place) {
  const height = ((first.width || 1) * (row.height || 1)) / (row.width || 1);
  const picture = h("img", {
    src: thumbnailUrl(row.run_id, row.digest, 1024),
    alt: `Picture ${place + 1}: ${row.prompt ?? "no prompt known"}`,
    draggable: "false",
    style: { width: `${first.width || 1}px`, height: `${height}px` },
  });
  const sharp = new Image();
  sharp.src = outputUrl(row.run_id, row.digest);
  sharp.decode().then(
    () => {
      picture.src = sharp.src;
    },
    () => {},
  );
  return picture;
}
