// When the pictures of a wall are asked for: pictures that arrive are what makes scrolling stutter, so few start in one
// frame, none while the wall flies past, and all of them once it stands still.

const FAST_PIXELS_A_FRAME = 250;
const STARTS_A_FRAME = 3;
const MAX_IN_FLIGHT = 6;

export class PictureLoader {
  constructor() {
    /** What each picture shall show, the latest wish last. @type {Map<HTMLImageElement, string>} */
    this.wanted = new Map();
    this.inFlight = 0;
    this.speed = 0;
    this.frame = 0;
  }

  /** Show `source` in a picture as soon as may be; until then nothing. */
  show(/** @type {HTMLImageElement} */ picture, source) {
    if (picture.dataset.source === source) return;
    this.clear(picture);
    picture.dataset.source = source;
    this.wanted.set(picture, source);
    this.schedule();
  }

  /** Show nothing. What was asked for and did not arrive is cancelled. */
  clear(/** @type {any} */ picture) {
    this.wanted.delete(picture);
    if (picture.finish) picture.finish();
    if (picture.hasAttribute("src")) picture.removeAttribute("src");
    picture.classList.remove("there");
    delete picture.dataset.source;
  }

  /** The wall moved by so many pixels in the last frame. */
  moved(pixels) {
    this.speed = Math.abs(pixels);
    this.schedule();
  }

  schedule() {
    if (!this.frame && (this.wanted.size || this.speed)) this.frame = requestAnimationFrame(() => this.tick());
  }

  tick() {
    this.frame = 0;
    const isStill = this.speed === 0;
    let starts = this.speed > FAST_PIXELS_A_FRAME ? 0 : isStill ? Infinity : STARTS_A_FRAME;
    for (const [picture, source] of this.inOrder()) {
      if (starts <= 0 || this.inFlight >= MAX_IN_FLIGHT) break;
      this.wanted.delete(picture);
      this.start(picture, source);
      starts -= 1;
    }
    this.speed = 0;
    if (this.wanted.size && this.inFlight < MAX_IN_FLIGHT) this.schedule();
  }

  /** What is in view before what is kept ready around it. */
  inOrder() {
    const wanted = [...this.wanted];
    const isInView = (/** @type {[any, string]} */ [picture]) => Boolean(picture.isInView);
    return [...wanted.filter(isInView), ...wanted.filter((each) => !isInView(each))];
  }

  start(/** @type {any} */ picture, source) {
    this.inFlight += 1;
    picture.finish = () => {
      picture.finish = null;
      picture.onload = null;
      picture.onerror = null;
      this.inFlight -= 1;
      this.schedule();
    };
    picture.onload = () => {
      picture.classList.add("there");
      picture.finish?.();
    };
    picture.onerror = () => picture.finish?.();
    picture.src = source;
  }
}
