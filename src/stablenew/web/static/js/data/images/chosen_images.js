// Images that were chosen, as a search that stands in the address: it goes from screen to screen and can be sent.

import { ImageList } from "./image_list.js";

const DIGITS = 16;
/** As many as fit into a search. */
const MOST = 200;

/** The search that finds these images. @param {{digest: string}[]} images */
export function queryOf(images) {
  const starts = images.slice(0, MOST).map(({ digest }) => digest.slice(7, 7 + DIGITS));
  return `digest:${starts.join(",")}`;
}

/** The first images that a search finds; those of `queryOf` in the order in which they were chosen. */
export async function loadImages(query, count) {
  const list = new ImageList({ query, sort: "newest", group: "" });
  list.use(await list.fetch(undefined, count));
  await list.ensureLoaded(0, list.length);
  const rows = Array.from(list.ids, (_, index) => list.row(index)).filter((row) => row && !row.isGone);
  const chosen = /^digest:(\S+)$/.exec(query)?.[1].split(",") ?? [];
  const place = ({ digest }) => chosen.findIndex((start) => digest.slice(7).startsWith(start));
  return { total: list.total, rows: rows.sort((a, b) => place(a) - place(b)) };
}
