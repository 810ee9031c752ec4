// The pictures of a comparison, moved and zoomed in step; two can lie on each other.

import { outputUrl, thumbnailUrl } from "../../data/api.js";
import { fitPlace, ZoomView } from "../../parts/images/zoom_view.js";
import { fill, h } from "../../parts/dom.js";

const FLICKER_MILLISECONDS = 400;
/** A small picture is enlarged by at most this much when it is fitted. */
const MAX_FITTED = 4;
export const MODES = ["side by side", "wipe", "flicker", "difference"];

const nothing = () => {};

export class Panes extends ZoomView {
  /** @param {(columns: number, isWrapped: boolean) => void} onColumns hears in how many columns the pictures stand */
  constructor(onColumns) {
    super(h("div.panes"), { onChange: nothing, onSwipe: nothing, onPull: nothing, onTap: nothing });
    this.onColumns = onColumns;
    this.rows = [];
    /** @type {HTMLElement[]} */
    this.panes = [];
    this.pictures = [];
    this.mode = MODES[0];
    this.split = 0.5;
    this.edge = null;
    this.timer = 0;
  }

  close() {
    super.close();
    clearInterval(this.timer);
  }

  /** Show these images beside each other, or two of them on each other. */
  compare(rows, mode = this.mode) {
    this.rows = rows;
    this.mode = mode;
    this.picture = { width: rows[0].width || 1, height: rows[0].height || 1 };
    clearInterval(this.timer);
    this.pictures = rows.map((row, place) => buildPicture(row, rows[0], place));
    const isStacked = mode !== MODES[0] && rows.length === 2;
    this.panes = isStacked
      ? [h("div", { class: `pane ${mode}` }, this.pictures)]
      : this.pictures.map((picture, place) => h("div.pane", { data: { number: place + 1 } }, picture));
    fill(this.stage, this.panes);
    this.edge = isStacked && mode === "wipe" ? h("div.wipe-edge") : null;
    if (this.edge) this.panes[0].append(this.edge);
    if (isStacked && mode === "flicker")
      this.timer = setInterval(() => this.panes[0].classList.toggle("second"), FLICKER_MILLISECONDS);
    this.resized();
  }

  /** As many columns as make the pictures largest. */
  resized() {
    const count = this.panes.length;
    if (!count) return;
    const { clientWidth: width, clientHeight: height } = this.stage;
    const rowsOf = (columns) => Math.ceil(count / columns);
    const scaleWith = (columns) =>
      Math.min(width / columns / this.picture.width, height / rowsOf(columns) / this.picture.height);
    const columns = [1, 2, 3, 4]
      .slice(0, count)
      .reduce((best, next) => (scaleWith(next) > scaleWith(best) ? next : best));
    this.stage.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    this.stage.style.gridTemplateRows = `repeat(${rowsOf(columns)}, 1fr)`;
    this.onColumns(count === 1 ? this.pictures.length : columns, columns < count);
    super.resized();
  }

  isPicture() {
    return true;
  }

  get box() {
    const [pane] = this.panes;
    return { width: pane?.clientWidth || 1, height: pane?.clientHeight || 1 };
  }

  get fitted() {
    return fitPlace(this.box, this.picture, MAX_FITTED);
  }

  get least() {
    return this.fitted.scale;
  }

  writeNow() {
    const { scale, x, y } = this.place;
    for (const picture of this.pictures) picture.style.transform = `matrix(${scale},0,0,${scale},${x},${y})`;
    if (this.edge) this.writeWipe(scale, x);
  }

  /** The second picture begins at the edge. */
  writeWipe(scale, x) {
    const at = this.split * this.box.width;
    this.edge.style.left = `${at}px`;
    this.pictures[1].style.clipPath = `inset(0 0 0 ${Math.max(0, (at - x) / scale)}px)`;
  }

  /** @returns {[number, number]} the place of a pointer in the pane that it is over */
  point({ clientX, clientY, target }) {
    const pane = this.panes.find((candidate) => candidate.contains(target)) ?? this.panes[0];
    const { left, top } = pane.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  onDown(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.drag = { way: this.pointers.size > 1 ? "pinch" : "pan" };
    if (this.edge && this.isFit) this.wipeTo(event);
  }

  onMove(event) {
    if (!this.pointers.size) return;
    if (this.isFit && this.edge && this.pointers.size < 2) this.wipeTo(event);
    else if (!this.isFit || this.pointers.size > 1) super.onMove(event);
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
