// The keys of the wall and its loupe: what each does, and that none is lost when they come faster than images.

import { queryOf } from "../../data/images/chosen_images.js";
import { changeAlbum, exportImages } from "./selection_acts.js";
import { showError } from "../../parts/dialogs.js";
import { digitOf, keyOf } from "../../parts/dom.js";

const COLOURS = { 6: "red", 7: "yellow", 8: "green", 9: "blue" };

/** What a key does on the wall; null when it does nothing. Digits go by their place on the keyboard. */
export function wallAction(screen, event) {
  const { key: pressed, shiftKey, target } = event;
  const key = keyOf(event);
  const digit = digitOf(event) ?? (/^[0-9]$/.test(key) ? key : undefined);
  if (digit !== undefined && !/^[[\]\\]$/.test(key))
    return digit in COLOURS
      ? () => screen.feedback.toggleColour(COLOURS[digit])
      : () => screen.acts.rate(Number(digit));
  if (stepFor(screen, key, 0) !== undefined)
    return () =>
      screen.moveTo(stepFor(screen, key, screen.cursor), { isExtending: shiftKey && pressed.startsWith("Arrow") });
  if ((key === "Enter" || key === " ") && target.closest?.("a, button, input, select")) return null;
  const actions = {
    "-": () => screen.acts.rate(null),
    p: () => screen.acts.flag("pick"),
    x: () => screen.acts.flag("reject"),
    u: () => screen.acts.flag(null),
    Backspace: () => screen.acts.trash(),
    Delete: () => screen.acts.trash(),
    " ": () => screen.toggleLoupe(),
    Enter: () => screen.toggleLoupe(),
    c: () => goWith(screen, "/compare", 2),
    d: () => goWith(screen, "/duel", 4),
    t: () => screen.feedback.editTags(),
    n: () => screen.feedback.editNote(),
    z: () => (shiftKey ? screen.acts.redo() : screen.acts.undo()),
    a: () => screen.acts.setAutoAdvance(!screen.acts.autoAdvance),
    "]": () => screen.acts.goUnrated(1),
    "[": () => screen.toggleFacets(),
    i: () => screen.inLoupe((loupe) => loupe.setInfo(loupe.info.element.hidden)),
    f: () => screen.inLoupe((loupe) => loupe.toggleFullscreen()),
    s: () => (screen.isLoupeOpen ? screen.inLoupe((loupe) => loupe.setSlideshow(!loupe.slides)) : screen.toggleStack()),
    b: () => changeAlbum(screen),
    e: () => exportImages(screen),
    "\\": () => screen.inLoupe((loupe) => loupe.toggleFilm()),
    ".": () => screen.inLoupe((loupe) => loupe.zoom.toggle()),
    "+": () => screen.zoomBy(1),
    "=": () => screen.zoomBy(1),
    "<": () => screen.zoomBy(-1),
    Escape: () => screen.back(),
  };
  return actions[key] ?? null;
}

/** Another screen with what is selected; with too little of it, compare the image with the next one. */
export function goWith({ app, feedback, list, cursor }, path, least) {
  const chosen = feedback.targets.map(({ image }) => image);
  const beside = list.row(cursor + 1) ?? list.row(cursor - 1);
  if (chosen.length < 2 && path === "/compare" && beside) chosen.push(beside);
  if (chosen.length >= least) app.go(`${path}?q=${encodeURIComponent(queryOf(chosen))}`);
  else if (path === "/duel") app.go(`/duel?q=${encodeURIComponent(app.query ?? "")}`);
}

/** Where a key moves the cursor to from `index`; undefined when it does not. */
function stepFor({ isLoupeOpen, view, list }, key, index) {
  const rows = (count) => (isLoupeOpen ? index + Math.sign(count) : view.stepRows(index, count));
  const steps = {
    ArrowLeft: () => index - 1,
    h: () => index - 1,
    ArrowRight: () => index + 1,
    l: () => index + 1,
    ArrowUp: () => rows(-1),
    k: () => rows(-1),
    ArrowDown: () => rows(1),
    j: () => rows(1),
    PageUp: () => rows(-view.rowsInView),
    PageDown: () => rows(view.rowsInView),
    Home: () => 0,
    End: () => list.length - 1,
  };
  return steps[key]?.();
}

/** Actions one after the other, each when the image that it is about is loaded: none is lost or hits another image. */
export class ActionQueue {
  /** @param {{isReady: () => boolean, load: () => Promise<any>}} options */
  constructor({ isReady, load }) {
    this.isReady = isReady;
    this.load = load;
    this.last = Promise.resolve();
    this.pending = 0;
  }

  /** @param {() => any} action */
  add(action) {
    const run = async () => {
      if (!this.isReady()) await this.load();
      await action();
    };
    // With nothing to wait for it runs now: what is typed next belongs into the field that it may open.
    const done = this.pending || !this.isReady() ? this.last.then(run) : (async () => action())();
    this.pending += 1;
    this.last = done
      .catch((error) => {
        if (error.name !== "AbortError") showError(error);
      })
      .finally(() => {
        this.pending -= 1;
      });
  }
}
