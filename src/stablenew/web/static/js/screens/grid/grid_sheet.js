// A grid as one picture with its headings, drawn here and saved as a PNG.

import { thumbnailUrl } from "../../data/api.js";
import { saveBlob } from "../../parts/dom.js";

const CELL = 256;
const GAP = 8;
const HEAD = 32;
const SIDE = 140;
/** Browsers draw no larger pictures. */
const LARGEST = 16000;

/** Save the grid. Gives whether all of it fits into one picture. */
export async function saveSheet(view, rows, request) {
  const columns = Math.min(view.columns, Math.floor((LARGEST - SIDE) / (CELL + GAP)));
  const lines = Math.min(view.rowCount, Math.floor((LARGEST - HEAD) / (CELL + GAP)));
  const cells = [...view.cells.values()].filter(({ x, y }) => x < columns && y < lines);
  await request(cells);
  const canvas = document.createElement("canvas");
  canvas.width = SIDE + columns * (CELL + GAP);
  canvas.height = HEAD + lines * (CELL + GAP);
  const paper = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.font = "14px sans-serif";
  paper.fillStyle = "#202124";
  const name = (values) => values.filter(Boolean).join(" · ");
  const left = (x) => SIDE + x * (CELL + GAP);
  const top = (y) => HEAD + y * (CELL + GAP);
  for (let x = 0; x < columns; x += 1) paper.fillText(name(view.columnNames(x)), left(x), HEAD - 10, CELL);
  for (let y = 0; y < lines; y += 1) paper.fillText(name(view.rowNames(y)), 8, top(y) + CELL / 2, SIDE - 16);
  for (const cell of cells) {
    const row = rows.get(cell.images[cell.top ?? 0]);
    const picture = row ? await load(thumbnailUrl(row.run_id, row.digest, 320)) : null;
    if (!picture) continue;
    const scale = Math.min(CELL / picture.naturalWidth, CELL / picture.naturalHeight);
    const width = picture.naturalWidth * scale;
    const height = picture.naturalHeight * scale;
    paper.drawImage(picture, left(cell.x) + (CELL - width) / 2, top(cell.y) + (CELL - height) / 2, width, height);
  }
  const blob = await new Promise((resolve) => {
    canvas.toBlob(resolve, "image/png");
  });
  saveBlob(/** @type {Blob} */ (blob), "grid.png");
  return columns === view.columns && lines === view.rowCount;
}

async function load(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode().catch(() => {});
  return picture.naturalWidth ? picture : null;
}
