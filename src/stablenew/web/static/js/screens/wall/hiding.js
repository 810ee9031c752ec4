// Images that the search hides as soon as they are rejected or trashed; undo brings them back to their places.

import { splitQuery } from "../../data/query_text.js";

const MAX_HIDDEN = 500;

export class WallHiding {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    /** What was taken out of the list, the latest last. @type {{index: number, id: number, values: number[]}[]} */
    this.hidden = [];
  }

  /** Whether one of these images was taken out here: the index may not know yet that the search leaves it out. */
  holds(/** @type {Int32Array} */ ids) {
    return this.hidden.some(({ id }) => ids.includes(id));
  }

  /** Take those of these images out of the wall that its search leaves out. */
  hide(/** @type {{index: number, image: any}[]} */ targets) {
    const { screen } = this;
    const conditions = splitQuery(screen.query).map(({ text }) => text);
    const isLeftOut = ({ opinion }) =>
      (opinion.flag === "reject" && conditions.includes("-flag:reject")) ||
      (opinion.trashed && conditions.includes("-is:trashed"));
    const found = targets.filter(({ image }) => isLeftOut(image)).map(({ index }) => index);
    if (!found.length || screen.group) return;
    for (const index of found.sort((a, b) => b - a)) {
      this.hidden.push(screen.list.remove(index));
      screen.selection.drop(index);
    }
    this.hidden = this.hidden.slice(-MAX_HIDDEN);
    screen.listChanged();
  }

  /** Put an image back that was hidden. Gives its index; -1 when it was not. */
  bringBack(runId, digest) {
    const { list, selection } = this.screen;
    const isIt = ({ id }) => {
      const row = list.rows.get(id);
      return row?.digest === digest && row.run_id === runId;
    };
    const place = this.hidden.findIndex(isIt);
    if (place < 0) return -1;
    const [removed] = this.hidden.splice(place, 1);
    const index = list.insert(removed);
    selection.shift(index, 1);
    this.screen.listChanged();
    return index;
  }
}
