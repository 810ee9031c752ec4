// The keys of Review: what each does, and that none is lost when they come faster than images.

import { runUrl } from "../data/api.js";
import { toast } from "../parts/dialogs.js";

const COLOURS = { 6: "red", 7: "yellow", 8: "green", 9: "blue" };

export const REVIEW_KEYS = [
  [
    "Review",
    [
      ["0 5", "rate 0 to 5 and go on"],
      ["Delete", "take the rating away"],
      ["p", "pick"],
      ["x", "reject"],
      ["u", "neither"],
      ["6 9", "red, yellow, green, blue"],
      ["t", "tags"],
      ["n", "note"],
      ["z", "undo"],
      ["Z", "redo"],
      ["← ↑ ↓ →", "move (also h k j l)"],
      ["Shift ←→", "select several"],
      ["Home End", "first, last"],
      ["PgUp PgDn", "a page"],
      ["]", "next unrated"],
      ["[", "unrated before"],
      ["Space", "large view"],
      ["c", "compare: hold this image, move on"],
      ["f", "full size, fitted"],
      ["CapsLock", "go on after rating: on, off (also a)"],
      ["Enter", "show the run"],
      ["Esc", "back"],
      ["/", "search"],
    ],
  ],
];

/** What a key does on a screen; null when it does nothing. */
export function reviewAction(screen, { key: pressed, shiftKey, target }) {
  const key = pressed.length === 1 ? pressed.toLowerCase() : pressed;
  if (/^[0-5]$/.test(key)) return () => screen.rate(Number(key));
  if (key in COLOURS) return () => screen.feedback.toggleColour(COLOURS[key]);
  const step = stepFor(screen, key);
  if (step) return () => screen.moveBy(step, { isExtending: shiftKey && pressed.startsWith("Arrow") });
  if (key === "Enter" && target.closest?.("a, button")) return null;
  if (key === " " && target.closest?.("button, a, input")) return null;
  const actions = {
    Delete: () => screen.rate(null),
    p: () => screen.feedback.submit(() => ({ flag: "pick" })),
    x: () => screen.feedback.submit(() => ({ flag: "reject" })),
    u: () => screen.feedback.submit(() => ({ flag: null })),
    " ": () => screen.setLarge(!screen.isLarge),
    t: () => screen.feedback.editTags(),
    n: () => screen.feedback.editNote(),
    z: () => (shiftKey ? screen.redo() : screen.undo()),
    c: () => screen.togglePin(),
    f: () => screen.loupe.setFull(!screen.loupe.isFull),
    a: () => screen.setAutoAdvance(!screen.autoAdvance),
    "]": () => screen.goUnrated(1),
    "[": () => screen.goUnrated(-1),
    Enter: () => openRun(screen),
    Escape: () => screen.back(),
  };
  return actions[key] ?? null;
}

/** By how many images a key moves the cursor; undefined when it does not. */
function stepFor({ isLarge, list }, key) {
  const row = isLarge ? 1 : list.columns;
  const steps = {
    ArrowLeft: -1,
    h: -1,
    ArrowRight: 1,
    l: 1,
    ArrowUp: -row,
    k: -row,
    ArrowDown: row,
    j: row,
    PageUp: -list.pageSize,
    PageDown: list.pageSize,
    Home: -Infinity,
    End: Infinity,
  };
  return steps[key];
}

function openRun({ app, currentImage }) {
  if (currentImage && !currentImage.isGone) app.go(runUrl(currentImage.run_id));
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
        if (error.name !== "AbortError") toast(error.message, { isError: true });
      })
      .finally(() => {
        this.pending -= 1;
      });
  }
}
