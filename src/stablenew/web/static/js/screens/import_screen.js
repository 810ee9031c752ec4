// "Where are your images?": folders that were found, a path to type, what would be taken in, and what is watched.

import { postJson } from "../data/api.js";
import { showError } from "../parts/dialogs.js";
import { fill, h, link } from "../parts/dom.js";
import { formatBytes, formatCount, formatTime, plural } from "../data/format.js";
import { live } from "../data/live.js";
import { acceptTaskState } from "../data/task_states.js";
import { countLeftOut, describeProgress } from "./import_progress.js";

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { app }) => new ImportScreen(root, app);

class ImportScreen {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    /** What is shown of each folder that was looked into. @type {Map<string, any>} */
    this.previews = new Map();
    this.unsubscribe = [
      live.on("task", (task) => task.kind === "import" && acceptTaskState(task) && this.follow(task)),
      live.on("hello", () => this.sources && this.reload()), // what happened before nobody was told of
    ];
  }

  close() {
    this.unsubscribe.forEach((end) => end());
  }

  async load() {
    this.build();
    if (this.app.status.is_read_only) {
      fill(this.places, h("p.hint", "This page was started with --read-only: nothing can be imported here."));
      return;
    }
    await this.reload();
  }

  build() {
    this.places = h("div", h("p.hint", { role: "status" }, "Looking where tools leave their images…"));
    this.sources = h("div");
    this.previewList = h("div.import-previews");
    this.progress = this.buildProgress();
    this.field = h("input.import-path", {
      id: "import-path",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "/home/me/stable-diffusion-webui/outputs",
    });
    this.problem = h("p.bad", { role: "alert", hidden: true });
    fill(
      this.root,
      h(
        "div.page.import-page",
        h("h1", "Where are your images?"),
        h(
          "p.soft",
          "What an image says about how it was made becomes searchable. Images stay where they are, and none is changed.",
        ),
        this.progress.box,
        this.places,
        h(
          "form.actions",
          { submit: (event) => this.submit(event) },
          h("label", { for: "import-path" }, "Another folder"),
          this.field,
          h("button", { type: "submit", disabled: this.app.status.is_read_only }, "Look inside"),
        ),
        this.problem,
        this.previewList,
        this.sources,
        this.app.status.run_count ? h("p", link("/copies", "Copies: pictures that are there in several files")) : null,
        this.app.status.run_count
          ? null
          : h(
              "p.hint",
              "No images yet? ",
              h("a", { "data-link": true, href: "/new" }, "Make a run"),
              ", or in a terminal: ",
              h("code", "stablenew demo"),
            ),
      ),
    );
  }

  buildProgress() {
    const parts = {
      bar: h("progress", { "aria-label": "Taking in images" }),
      words: h("span", { role: "status" }),
      stop: h("button", { click: () => postJson("/api/import/stop") }, "Stop"),
      leftOut: h("div"),
    };
    const show = h("a.button.primary", { "data-link": true, href: "/" }, "Show the images");
    const line = h("div.actions", parts.words, parts.stop, show);
    return {
      ...parts,
      box: h("section.panel", { "aria-label": "Import", hidden: true }, line, parts.bar, parts.leftOut),
    };
  }

  showPlaces(places) {
    if (!places.length) {
      fill(
        this.places,
        h("p", { role: "status" }, "No folder of a known tool was found on this machine. Enter yours:"),
      );
      return;
    }
    fill(
      this.places,
      h("h2", "Found on this machine"),
      h(
        "ul.import-places",
        places.map((place) =>
          h(
            "li.panel",
            h(
              "div",
              h("strong", place.tool || "Images"),
              ` ${formatCount(place.image_count)}${place.is_more ? "+" : ""} ${place.image_count === 1 ? "file" : "files"}`,
              h("div", h("code", place.path)),
            ),
            h(
              "button",
              { "aria-label": `Look inside ${place.path}`, click: () => this.look(place.path) },
              "Look inside",
            ),
          ),
        ),
      ),
    );
  }

  showSources(sources) {
    if (!sources.length) {
      fill(this.sources);
      return;
    }
    fill(
      this.sources,
      h("h2", "Imported"),
      h(
        "ul.import-places",
        sources.map((source) => this.buildSource(source)),
      ),
    );
  }

  buildSource(source) {
    const box = h("input", {
      type: "checkbox",
      checked: source.is_watched,
      disabled: this.app.status.is_read_only,
      change: (event) => this.toggle(source.id, event.target),
    });
    const note = source.is_there ? source.problem : "it is not there now";
    return h(
      "li.panel",
      h("div", h("code", source.path), note ? h("div.bad", note) : null),
      h("label", box, ` Watch ${source.path.split(/[\\/]/).pop()}`),
      h(
        "button",
        { "aria-label": `Look again into ${source.path}`, click: () => this.look(source.path) },
        "Look again",
      ),
    );
  }

  async toggle(source, box) {
    try {
      const { sources } = await postJson("/api/import/watch", { source, watch: box.checked });
      this.showSources(sources);
    } catch (error) {
      box.checked = !box.checked;
      showError(error);
    }
  }

  submit(event) {
    event.preventDefault();
    const path = this.field.value.trim();
    if (path) this.look(path);
    else this.field.focus();
  }

  async look(path) {
    this.problem.hidden = true;
    const panel = this.panelOf(path);
    try {
      const preview = await postJson("/api/import/preview", { path });
      fill(panel, h("h2", h("code", preview.path)), this.buildPreview(preview, path));
    } catch (error) {
      this.forget(path);
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }

  panelOf(path) {
    let panel = this.previews.get(path);
    if (!panel) {
      panel = h("section.panel", { "aria-label": `Inside ${path}` });
      this.previews.set(path, panel);
      this.previewList.prepend(panel);
    }
    fill(panel, h("h2", h("code", path)), h("p.soft", { role: "status" }, "Looking inside…"));
    return panel;
  }

  forget(path) {
    this.previews.get(path)?.remove();
    this.previews.delete(path);
  }

  buildPreview(preview, path) {
    if (!preview.found) return h("p", "There are no images in it.");
    const isSome = preview.looked_at < preview.new;
    const taken = sum(preview.tools);
    const watch = h("input", { type: "checkbox", checked: true });
    return [
      h(
        "p",
        h("strong", plural(preview.new, "new file")),
        `, ${formatBytes(preview.size_bytes)}`,
        preview.newest ? `, from ${formatTime(preview.oldest)} to ${formatTime(preview.newest)}` : "",
        preview.known ? `; ${formatCount(preview.known)} more are known already` : "",
      ),
      isSome ? h("p.hint", `Of ${formatCount(preview.looked_at)} that were looked at:`) : null,
      buildCounts(preview.tools, "would be imported"),
      buildCounts(preview.not_taken, "would be left out", "soft"),
      preview.new
        ? h(
            "div.actions",
            h(
              "button.primary",
              { disabled: !taken, click: () => this.begin(path, watch.checked) },
              isSome || !taken ? "Import them" : `Import ${plural(taken, "image")}`,
            ),
            h("label", watch, " and go on with what is saved there from now on"),
          )
        : null,
    ];
  }

  async begin(path, watch) {
    try {
      const task = await postJson("/api/import", { paths: [path], watch });
      this.forget(path);
      if (acceptTaskState(task)) this.showImport(task);
    } catch (error) {
      showError(error);
    }
  }

  showImport(task) {
    const { box, bar, words, stop, leftOut } = this.progress;
    box.hidden = false;
    bar.hidden = task.is_over;
    stop.hidden = task.is_over;
    if (task.total) {
      bar.max = task.total;
      bar.value = task.done;
    }
    words.textContent = describeProgress(task);
    const counts = task.is_over ? Object.fromEntries(countLeftOut(task)) : {};
    fill(leftOut, buildCounts(counts, "left out", "soft"));
  }

  /** Show a task that the server reports on; when it is over, what it has brought too. */
  follow(task) {
    this.showImport(task);
    if (task.is_over) this.reload();
  }

  async reload() {
    if (this.app.status.is_read_only) return;
    const { places, sources, task } = await postJson("/api/import/places");
    this.showPlaces(places);
    this.showSources(sources);
    if (task && acceptTaskState(task)) this.showImport(task);
  }
}

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

function buildCounts(counts, meaning, kind = "") {
  const named = Object.entries(counts);
  if (!named.length) return null;
  return h(
    "ul",
    { class: `import-counts ${kind}`, "aria-label": meaning },
    named.map(([name, count]) => h("li", h("span.number", formatCount(count)), ` ${name}`)),
    h("li.soft", meaning),
  );
}
