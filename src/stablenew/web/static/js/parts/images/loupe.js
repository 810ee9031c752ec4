// One image, as large as the window allows; the next ones are fetched and decoded before anybody asks for them.

import { outputUrl, thumbnailUrl } from "../../data/api.js";
import { formatCount } from "../../data/format.js";
import { getItem, setItem } from "../../data/local_storage.js";
import { fill, h, setText } from "../dom.js";
import { buildStars } from "../stars.js";
import { Filmstrip } from "./filmstrip.js";
import { icon } from "./icons.js";
import { InfoPanel } from "./info_panel.js";
import { describeImage, offerFile } from "./wall_cell.js";
import { ZoomView } from "./zoom_view.js";

/** A picture that takes longer is shown small and stretched until it is there. */
const PATIENCE_MILLISECONDS = 60;
const AHEAD = 3;
const MAX_PREPARED = 12;
const THUMBNAIL = 1024;
const IDLE_MILLISECONDS = 1500;
const ORIGINAL_MILLISECONDS = 120;
const SLIDE_MILLISECONDS = 4000;
const INFO_KEY = "stablenew:info";
const FILM_KEY = "stablenew:filmstrip";

const wait = (milliseconds) =>
  new Promise((resolve) => {
    setTimeout(() => resolve(true), milliseconds);
  });

export class Loupe {
  /**
   * @param {import("../../data/images/image_list.js").ImageList} list
   * @param {{isReadOnly: boolean, rater: string, hasJobs: boolean, onRate: (rating: number | null) => void, onFlag: (flag: string) => void,
   *   onStep: (step: number) => void, onGo: (index: number) => void, onClose: () => void}} options
   */
  constructor(list, options) {
    this.list = list;
    this.options = options;
    this.index = -1;
    this.direction = 1;
    /** @type {Map<number, {element: HTMLImageElement, decoded: Promise<void>, isOriginal: boolean}>} */
    this.prepared = new Map();
    this.image = null;
    this.idle = 0;
    this.originalTimer = 0;
    this.slides = 0;
    this.build();
    this.zoom = new ZoomView(this.stage, {
      onChange: () => this.zoomed(),
      onSwipe: (step) => options.onStep(step),
      onPull: (direction) => (direction === "down" ? options.onClose() : this.setInfo(true)),
      onTap: () => this.wake(),
    });
  }

  build() {
    const { isReadOnly, onRate, onStep, onGo, onFlag, onClose, rater, hasJobs } = this.options;
    this.stage = h("div.stage");
    this.stars = buildStars("Your rating", onRate, { isReadOnly, inTabOrder: true });
    this.place = h("span.place");
    this.marks = h("span.loupe-marks");
    this.info = new InfoPanel({ isReadOnly, onRate, onClose: () => this.setInfo(false), rater, hasJobs });
    this.film = new Filmstrip(this.list, onGo);
    this.film.element.hidden = getItem(FILM_KEY) === "off";
    this.playButton = tool("play", "Slideshow (S)", () => this.setSlideshow(!this.slides));
    this.infoButton = tool("info", "About this image (I)", () => this.setInfo(this.info.element.hidden));
    const tools = h(
      "div.loupe-tools",
      this.playButton,
      tool("full", "Full screen (F)", () => this.toggleFullscreen()),
      this.infoButton,
      tool("close", "Back to the wall (Esc)", onClose),
    );
    const flags = [
      tool("reject", "Reject (X)", () => onFlag("reject")),
      tool("pick", "Pick (P)", () => onFlag("pick")),
    ];
    this.flagButtons = flags;
    const back = tool("previous", "Back to the wall", onClose, "thumb-only"); // no cross: that is to reject
    const about = tool("info", "About this image", () => this.setInfo(this.info.element.hidden), "thumb-only");
    this.hud = h("div.hud", this.stars, this.marks, back, isReadOnly ? null : flags, about, this.place);
    this.element = h(
      "div.loupe",
      { hidden: true, role: "group", "aria-label": "Loupe", pointermove: () => this.wake() },
      h(
        "div.loupe-main",
        h(
          "div.stage-box",
          this.stage,
          tool("previous", "Previous image (←)", () => onStep(-1), "step previous"),
          tool("next", "Next image (→)", () => onStep(1), "step next"),
          tools,
          this.hud,
        ),
        this.film.element,
      ),
      this.info.element,
    );
    this.stage.addEventListener("dragstart", (event) => {
      const row = this.list.row(this.index);
      if (row && !row.isGone) offerFile(event, row);
    });
    this.setInfo(getItem(INFO_KEY) === "on" && window.innerWidth > 900);
  }

  close() {
    this.zoom.close();
    this.info.close();
    this.film.close();
    clearTimeout(this.idle);
    clearTimeout(this.originalTimer);
    this.setSlideshow(false);
  }

  get isOpen() {
    return !this.element.hidden;
  }

  hide() {
    this.setSlideshow(false);
    if (document.fullscreenElement) document.exitFullscreen();
    this.element.hidden = true;
    this.prepared.clear();
  }

  /** Show an image, and get the next ones ready. */
  async show(index) {
    this.direction = index < this.index ? -1 : 1;
    this.element.hidden = false;
    this.index = index;
    const id = this.list.ids[index];
    if (!this.list.row(index)) await this.list.ensureLoaded(index - 2, index + 8);
    if (this.list.ids[this.index] !== id) return;
    const row = this.list.row(this.index);
    if (!row) return;
    this.showWords();
    if (row.isGone) {
      fill(this.stage, h("p.gone", "This image was removed."));
      this.image = null;
      return;
    }
    const ready = this.prepare(this.index);
    if (!ready) return;
    const isSlow = await Promise.race([ready.decoded.then(() => false), wait(PATIENCE_MILLISECONDS)]);
    if (this.list.ids[this.index] !== id || !this.isOpen) return;
    if (isSlow) {
      this.put(/** @type {any} */ (h("img", { alt: "", src: thumbnailUrl(row.run_id, row.digest, 320) })), row);
      this.film.show(this.index);
      await ready.decoded;
      if (this.list.ids[this.index] !== id || !this.isOpen) return;
    }
    this.put(ready.element, row);
    this.film.show(this.index);
    this.preload();
    this.wake();
  }

  put(element, row) {
    if (this.image !== element) {
      element.className = "current";
      fill(this.stage, element);
      this.image = element;
    }
    element.alt = describeImage(row, this.index);
    element.dataset.index = String(this.index);
    const width = row.width || element.naturalWidth || THUMBNAIL;
    const height = row.height || element.naturalHeight || THUMBNAIL;
    this.zoom.show(element, width, height, { keepsPlace: true });
  }

  /** An image element for each image, decoded before it is shown. */
  prepare(index) {
    const row = this.list.row(index);
    if (!row || row.isGone) return null;
    let ready = this.prepared.get(row.id);
    if (!ready) {
      const element = /** @type {HTMLImageElement} */ (h("img", { alt: "" }));
      element.src = thumbnailUrl(row.run_id, row.digest, THUMBNAIL);
      ready = { element, decoded: element.decode().catch(() => {}), isOriginal: false };
      this.prepared.set(row.id, ready);
      while (this.prepared.size > MAX_PREPARED) this.prepared.delete(this.prepared.keys().next().value ?? -1);
    }
    return ready;
  }

  async preload() {
    const { index, direction } = this;
    await this.list.ensureLoaded(index - 12, index + 20).catch(() => {});
    if (index !== this.index || !this.isOpen) return;
    this.film.show(index);
    for (let step = 1; step <= AHEAD; step += 1) this.prepare(index + step * direction);
    this.prepare(index - direction);
  }

  /** The picture was zoomed or moved: say how large it is, and fetch the original when the thumbnail is too small. */
  zoomed() {
    this.showPlace();
    const row = this.list.row(this.index);
    if (!row || row.isGone) return;
    const shown = Math.max(row.width ?? 0, row.height ?? 0) * this.zoom.scale;
    clearTimeout(this.originalTimer);
    if (shown > 1.1 * THUMBNAIL && Math.max(row.width ?? 0, row.height ?? 0) > THUMBNAIL)
      this.originalTimer = setTimeout(() => this.loadOriginal(row), ORIGINAL_MILLISECONDS);
  }

  /** Decode the original, then put it where the thumbnail is. */
  async loadOriginal(row) {
    const ready = this.prepared.get(row.id);
    if (!ready || ready.isOriginal) return;
    ready.isOriginal = true;
    const original = new Image();
    original.src = outputUrl(row.run_id, row.digest);
    const isThere = await original.decode().then(
      () => true,
      () => false,
    );
    if (isThere) ready.element.src = original.src;
  }

  /** Everything but the image itself. */
  showWords() {
    const row = this.list.row(this.index);
    if (!row) return;
    this.stars.show(row.opinion.rating ?? null, "Your rating");
    const [reject, pick] = this.flagButtons;
    reject.setAttribute("aria-pressed", String(row.opinion.flag === "reject"));
    pick.setAttribute("aria-pressed", String(row.opinion.flag === "pick"));
    fill(
      this.marks,
      Object.entries(row.others ?? {})
        .filter(([, opinion]) => typeof opinion.rating === "number")
        .map(([who, opinion]) => h("span.soft", `${who} ${"★".repeat(opinion.rating) || 0}`)),
    );
    this.showPlace();
    this.info.show(row, [this.list.row(this.index - 1), this.list.row(this.index + 1)]);
  }

  showPlace() {
    const percent = Math.round(100 * this.zoom.scale);
    setText(this.place, `${formatCount(this.index + 1)} of ${formatCount(this.list.length)} · ${percent} %`);
  }

  /** Show the controls for a moment. */
  wake() {
    this.element.classList.remove("idle");
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.element.classList.add("idle"), IDLE_MILLISECONDS);
  }

  setInfo(isOn) {
    this.info.element.hidden = !isOn;
    this.infoButton.setAttribute("aria-pressed", String(isOn));
    setItem(INFO_KEY, isOn ? "on" : "off");
    if (isOn && this.index >= 0) this.showWords();
  }

  toggleFilm() {
    this.film.element.hidden = !this.film.element.hidden;
    setItem(FILM_KEY, this.film.element.hidden ? "off" : "on");
    this.film.show(this.index);
  }

  async toggleFullscreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.element.requestFullscreen().catch(() => {});
  }

  setSlideshow(isOn) {
    clearInterval(this.slides);
    this.slides = isOn ? setInterval(() => this.slide(), SLIDE_MILLISECONDS) : 0;
    fill(this.playButton, icon(isOn ? "pause" : "play"));
    this.playButton.setAttribute("aria-pressed", String(isOn));
  }

  slide() {
    if (this.index + 1 >= this.list.length) this.setSlideshow(false);
    else this.options.onStep(1);
  }

  /** One step back: from the slideshow, then from a zoomed image. Gives whether there was one. */
  back() {
    if (this.slides) this.setSlideshow(false);
    else if (!this.zoom.isFit) this.zoom.fit();
    else if (window.innerWidth <= 700 && !this.info.element.hidden) this.setInfo(false);
    else return false;
    return true;
  }
}

function tool(name, label, onClick, className = "") {
  return h(
    "button",
    { class: `tool ${className}`.trim(), "aria-label": label, title: label, click: onClick },
    icon(name),
  );
}
