// The trash: what is in it, taking it out, and freeing the disk.

import { getJson, postJson, runUrl, thumbnailUrl } from "../../data/api.js";
import { formatBytes, formatTime, plural } from "../../data/format.js";
import { live } from "../../data/live.js";
import { showError, toast } from "../../parts/dialogs.js";
import { buildSelect, debounce, fill, h, link, showProgress } from "../../parts/dom.js";

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { app }) => new TrashScreen(root, app);

const AGES = [
  ["", "at any time"],
  ["1d", "more than a day ago"],
  ["7d", "more than a week ago"],
  ["30d", "more than 30 days ago"],
];

const RELOAD_MILLISECONDS = 150;
const CONTROLS = "button, select";

class TrashScreen {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    this.older = "";
    const loadSoon = debounce(() => this.load().catch(() => {}), RELOAD_MILLISECONDS);
    this.unsubscribe = [
      live.on("task", (task) => this.showTask(task)),
      live.on("changes", loadSoon), // the index takes a moment to know what was restored
      loadSoon.cancel,
    ];
  }

  close() {
    this.unsubscribe.forEach((end) => end());
  }

  async load() {
    this.trash = await getJson("/api/trash", { older: this.older });
    const { activeElement } = document;
    const place = [...this.root.querySelectorAll(CONTROLS)].indexOf(/** @type {Element} */ (activeElement));
    const { id } = activeElement ?? {};
    this.render();
    if (place >= 0) this.focusAgain(id, place);
  }

  /** What had the focus was built again or is gone: go on where it was, or at the top where nothing is left. */
  focusAgain(id, place) {
    const controls = [...this.root.querySelectorAll(CONTROLS)].filter((control) => !control.disabled);
    const next = (id && document.getElementById(id)) || controls[Math.min(place, controls.length - 1)];
    (next ?? this.root.querySelector("h1"))?.focus();
  }

  render() {
    const { count, held_bytes: held, images } = this.trash;
    const isReadOnly = this.app.status.is_read_only;
    this.progress = h("progress", { hidden: true, "aria-label": "Removing images" });
    fill(
      this.root,
      h(
        "div.page",
        h("h1", { tabindex: -1 }, "Trash"),
        count
          ? h("p", `${plural(count, "image")}, ${formatBytes(held)} on this machine.`)
          : h("p", "The trash is empty. Backspace or the bin on an image of ", link("/", "the wall"), " puts it here."),
        isReadOnly || !count ? null : this.buildActions(),
        this.progress,
        h(
          "ul.trash-list",
          images.map((image) => this.buildImage(image, isReadOnly)),
        ),
        count > images.length ? h("p.soft", `The first ${images.length} are shown.`) : null,
      ),
    );
  }

  buildActions() {
    const { due, kept } = this.trash;
    const choose = (older) => {
      this.older = older;
      this.load();
    };
    return h(
      "div.actions",
      h("label", { for: "trash-age" }, "Trashed "),
      buildSelect(AGES, this.older, choose, { id: "trash-age" }),
      h(
        "button.danger",
        { disabled: !due.count, click: () => this.confirm() },
        due.count
          ? `Remove ${plural(due.count, "image")} (${formatBytes(due.size_bytes)})…`
          : "Nothing of yours to remove",
      ),
      h("button", { click: () => this.restore(null) }, "Restore all"),
      kept.count ? h("span.soft", `${plural(kept.count, "image")} stay: others like them.`) : null,
    );
  }

  buildImage(image, isReadOnly) {
    return h(
      "li",
      image.held_bytes
        ? link(
            runUrl(image.run_id),
            h("img", {
              src: thumbnailUrl(image.run_id, image.digest, 320),
              alt: image.prompt ?? "image",
              loading: "lazy",
            }),
          )
        : h("div.gone", "removed"),
      h("div", `by ${image.trashed_by.join(", ")}, ${formatTime(image.trashed_at)}`),
      image.kept_for.length ? h("div.warn", image.kept_for.join(", ")) : null,
      image.other_files.length
        ? h("div.soft", `${plural(image.other_files.length, "other file")} with the same pixels kept`)
        : null,
      isReadOnly ? null : h("button.quiet", { click: () => this.restore([image.digest]) }, "Restore"),
    );
  }

  async restore(digests) {
    try {
      const { restored, without_bytes: gone } = await postJson("/api/trash/restore", { digests });
      toast(`${plural(restored, "image")} restored from the trash`);
      if (gone) toast(`The bytes of ${gone} are not here; merging a store that has them brings them back`);
    } catch (error) {
      showError(error);
    }
  }

  confirm() {
    const { due } = this.trash;
    const inPlace = due.in_place_count
      ? ` ${plural(due.in_place_count, "of them")} lie in folders of other programs and go to the system's trash.`
      : "";
    const dialog = h(
      "dialog.ask",
      { "aria-labelledby": "empty-title" },
      h("h2", { id: "empty-title" }, `Remove ${plural(due.count, "image")} from this machine?`),
      h(
        "p",
        `${formatBytes(due.size_bytes)} are freed. Prompts, settings and ratings stay; other machines keep their copies.${inPlace}`,
      ),
      h(
        "form.buttons",
        { method: "dialog" },
        h("button.danger", { value: "yes" }, "Remove"),
        h("button", { value: "" }, "Cancel"),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "yes") this.empty(due.count);
    });
    document.body.append(dialog);
    dialog.showModal();
  }

  async empty(count) {
    try {
      this.showTask(await postJson("/api/trash/empty", { older: this.older || null, expected_count: count }));
    } catch (error) {
      showError(error);
      this.load();
    }
  }

  showTask(task) {
    if (task.kind !== "empty trash") return;
    showProgress(this.progress, task);
    if (!task.is_over) return;
    if (task.result)
      toast(`${plural(task.result.removed, "image")} removed, ${formatBytes(task.result.freed_bytes)} freed`);
    for (const problem of task.result?.problems.slice(0, 3) ?? [task.error]) toast(problem, { isError: true });
    this.load().catch(() => {});
  }
}
