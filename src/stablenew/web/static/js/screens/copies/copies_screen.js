// Copies: two images that look alike, side by side, for a person to say whether they are one picture.

import { getJson, postJson, thumbnailUrl } from "../../data/api.js";
import { formatBytes, formatCount, plural } from "../../data/format.js";
import { queryOf } from "../../data/images/chosen_images.js";
import { live } from "../../data/live.js";
import { acceptTaskState } from "../../data/task_states.js";
import { showError, toast } from "../../parts/dialogs.js";
import { fill, h, isShortcut, link, showProgress } from "../../parts/dom.js";

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { app }) => new CopiesScreen(root, app);

const LOOK = "Look at them";

class CopiesScreen {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    /** Pairs that this page has been done with: judged, or put off. @type {Set<string>} */
    this.done = new Set();
    /** What was said here, for undo. @type {any[]} */
    this.said = [];
    this.isBusy = false;
    /** Whether everything that is there has been looked at. */
    this.isLookedThrough = false;
    this.unsubscribe = [live.on("task", (task) => task.kind === "pixels" && this.showTask(task))];
  }

  close() {
    this.unsubscribe.forEach((end) => end());
  }

  async load() {
    this.summary = h("p");
    this.stage = h("div");
    this.look = this.buildLook();
    fill(
      this.root,
      h(
        "div.page.copies",
        h("h1", "Copies"),
        h(
          "p.soft",
          "Files with the same pixels are one picture, with the same stars. Smaller or lossy copies are too, once somebody says so.",
        ),
        this.summary,
        this.look.box,
        this.stage,
      ),
    );
    await this.reload();
    const { tasks } = await getJson("/api/health");
    tasks.filter((task) => task.kind === "pixels").forEach((task) => this.showTask(task));
  }

  buildLook() {
    const parts = {
      words: h("span", { role: "status" }),
      button: h("button", { click: () => this.begin() }, LOOK),
      stop: h("button", { hidden: true, click: () => postJson("/api/tasks", { kind: "pixels", stop: true }) }, "Stop"),
      bar: h("progress", { hidden: true, "aria-label": "Looking at pixels" }),
    };
    const line = h("div.actions", parts.words, parts.button, parts.stop);
    return { ...parts, box: h("section.panel", { "aria-label": "Not looked at yet", hidden: true }, line, parts.bar) };
  }

  async begin() {
    try {
      this.showTask(await postJson("/api/tasks", { kind: "pixels" }));
    } catch (error) {
      showError(error);
    }
  }

  showTask(task) {
    if (!acceptTaskState(task)) return;
    const { box, words, button, stop, bar } = this.look;
    showProgress(bar, task);
    stop.hidden = task.is_over;
    if (task.is_over) {
      if (task.error && !task.is_cancelled) toast(task.error, { isError: true });
      this.isLookedThrough = !task.error;
      setTimeout(() => this.reload().catch(() => {}), 300); // the index takes a moment to know
      return;
    }
    box.hidden = false;
    button.hidden = true;
    words.textContent = task.total ? `${formatCount(task.done)} of ${plural(task.total, "image")}` : "starting…";
  }

  async reload() {
    const found = await getJson("/api/copies", { count: 1 });
    const isReadOnly = this.app.status.is_read_only;
    const { box, words, button } = this.look;
    box.hidden = !found.missing;
    button.hidden = false;
    button.disabled = isReadOnly;
    words.textContent = this.isLookedThrough
      ? `${plural(found.missing, "image")} could not be looked at: their folders are not there now. `
      : `${plural(found.missing, "image")} not looked at yet. `;
    this.summary.textContent = found.pictures
      ? `${plural(found.pictures, "picture")} in several files, each shown once.`
      : "No picture is in several files, as far as is known.";
    this.pairs = found.pairs;
    const said = new Set(this.said.map(keyOf)); // the index may not know yet what was said a moment ago
    this.total = found.count - found.pairs.filter((pair) => said.has(keyOf(pair))).length;
    this.show();
  }

  show() {
    this.pair = this.pairs.find((pair) => !this.done.has(keyOf(pair)));
    if (!this.pair) {
      fill(
        this.stage,
        h("p", { role: "status" }, this.total ? "No more pairs to look at now." : "No pairs to look at."),
        this.said.length ? this.buildUndo() : null,
      );
      return;
    }
    const isReadOnly = this.app.status.is_read_only;
    const say = (isSame) => () => this.say(isSame);
    const key = (text) => h("kbd", { "aria-hidden": "true" }, text);
    fill(
      this.stage,
      h(
        "div.copy-question",
        h("h2", "One picture, or two?"),
        h("span.soft", { role: "status" }, `${plural(this.total, "pair")} to look at`),
      ),
      h("section.copy-pair", { "aria-label": "Pair" }, this.pair.images.map(buildSide)),
      h(
        "div.answers",
        h("button", { disabled: isReadOnly, click: say(true) }, key("y"), "One picture"),
        h("button", { disabled: isReadOnly, click: say(false) }, key("n"), "Two pictures"),
        h("button", { click: () => this.putOff() }, key("→"), "Later"),
      ),
      h("div.duel-foot", link(compareUrl(this.pair), "Compare in detail"), this.said.length ? this.buildUndo() : null),
    );
  }

  buildUndo() {
    return h("button.quiet", { click: () => this.undo() }, "Undo");
  }

  async say(isSame) {
    if (this.isBusy || !this.pair) return;
    await this.post(this.pair, isSame, () => {
      this.done.add(keyOf(this.pair));
      this.said.push(this.pair);
    });
  }

  async undo() {
    const pair = this.said[this.said.length - 1];
    if (this.isBusy || !pair) return;
    await this.post(pair, null, () => {
      this.said.pop();
      this.done.delete(keyOf(pair));
    });
  }

  /** Tell the server of a pair, and then show the next. */
  async post(pair, isSame, then) {
    this.isBusy = true;
    try {
      const [first, second] = pair.images.map((image) => image.digest);
      await postJson("/api/copies", { first, second, is_same: isSame });
      then();
      if (isSame === null) this.pairs = [pair, ...this.pairs.filter((other) => keyOf(other) !== keyOf(pair))];
      this.total += isSame === null ? 1 : -1;
      if (this.pairs.every((other) => this.done.has(keyOf(other)))) await this.reload();
      else this.show();
    } catch (error) {
      showError(error);
    } finally {
      this.isBusy = false;
    }
  }

  putOff() {
    if (!this.pair) return;
    this.done.add(keyOf(this.pair));
    this.show();
  }

  onKey(event) {
    if (isShortcut(event) || event.repeat) return;
    const isReadOnly = this.app.status.is_read_only;
    if (event.key === "y" && !isReadOnly) this.say(true);
    else if (event.key === "n" && !isReadOnly) this.say(false);
    else if (event.key === "ArrowRight") this.putOff();
    else if (event.key === "c" && this.pair) this.app.go(compareUrl(this.pair));
    else if (event.key === "z") this.undo();
  }
}

const keyOf = (pair) => pair.images.map((image) => image.digest).join(" ");

const compareUrl = (pair) => `/compare?q=${encodeURIComponent(queryOf(pair.images))}`;

const FACTS = [
  (image) => (image.width ? `${image.width} × ${image.height}` : "size unknown"),
  (image) => image.media_type.replace("image/", "").toUpperCase(),
  (image) => formatBytes(image.size_bytes),
];

/** One image with what tells its file from the other; what differs is bold. */
function buildSide(image, place, both) {
  const other = both[1 - place];
  return h(
    "figure",
    h("img", {
      src: thumbnailUrl(image.run_id, image.digest, 1024),
      alt: place ? "The image on the right" : "The image on the left",
    }),
    h(
      "figcaption",
      h(
        "div",
        FACTS.map((show, at) => [
          at ? ", " : "",
          h("span", { class: show(image) === show(other) ? "" : "differs" }, show(image)),
        ]),
      ),
      h("div.soft", image.path),
      h("div.soft.copy-prompt", { title: image.prompt ?? "" }, image.prompt || "says nothing of how it was made"),
    ),
  );
}
