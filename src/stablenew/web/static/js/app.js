// The page: which screen is shown, what all screens share.

import { getJson, Refused } from "./data/api.js";
import { h, isTyping } from "./parts/dom.js";
import { showKeys, toast } from "./parts/dialogs.js";
import { live } from "./data/live.js";
import { outbox } from "./data/feedback_outbox.js";
import { plural } from "./data/format.js";

const SCREENS = [
  { path: /^\/$/, name: "history", title: "History", load: () => import("./screens/history_screen.js") },
  { path: /^\/review$/, name: "review", title: "Review", load: () => import("./screens/review_screen.js") },
  { path: /^\/runs\/([^/]+)$/, name: "history", title: "Run", load: () => import("./screens/run_screen.js") },
  { path: /^\/new$/, name: "new", title: "New run", load: () => import("./screens/new_screen.js") },
  { path: /^\/insights$/, name: "insights", title: "Insights", load: () => import("./screens/insights_screen.js") },
  { path: /^\/import$/, name: "import", title: "Import", load: () => import("./screens/import_screen.js") },
  { path: /^\/health$/, name: "health", title: "Health", load: () => import("./screens/health_screen.js") },
];

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

/** What screens are given: the state of the server, and the way to other screens. */
const app = {
  /** @type {any} */
  status: null,
  /** @type {any} */
  screen: null,
  generation: 0,

  /** Go to another address of this page. */
  go(url, { replace = false } = {}) {
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    return this.show();
  },

  /** Put `url` into the address bar without changing the screen. */
  remember(url) {
    history.replaceState(null, "", url);
  },

  async show() {
    const screen = SCREENS.find(({ path }) => path.test(location.pathname));
    const generation = (this.generation += 1);
    this.screen?.close?.();
    this.screen = null;
    main.replaceChildren();
    if (!screen) return;
    document.title = `${screen.title} · StableNew`;
    for (const link of document.querySelectorAll("[data-screen]")) {
      if (link.getAttribute("data-screen") === screen.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const module = await screen.load();
    if (generation !== this.generation) return;
    const root = h("div"); // one for each screen: what an earlier one still loads goes nowhere
    main.replaceChildren(root);
    try {
      this.screen = module.open(root, {
        match: screen.path.exec(location.pathname),
        search: new URLSearchParams(location.search),
        app: this,
      });
      await this.screen.load();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      toast(error.message, { isError: true });
      if (!(error instanceof Refused)) throw error;
    }
  },
};

const GENERAL_KEYS = [
  "Everywhere",
  [
    ["?", "these keys"],
    ["g h", "history"],
    ["g r", "review"],
    ["g n", "new run"],
    ["g i", "insights"],
    ["g e", "health"],
  ],
];

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-link]") : null;
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  app.go(link.getAttribute("href"));
});

let lastG = 0; // when the first key of "g h" and its like was pressed
document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "?") {
    showKeys([...(app.screen?.keys ?? []), GENERAL_KEYS]);
    event.preventDefault();
    return;
  }
  const target = { h: "/", r: "/review", n: "/new", i: "/insights", e: "/health" }[event.key];
  if (target && Date.now() - lastG < 1000 && !event.ctrlKey && !event.metaKey) {
    lastG = 0;
    event.preventDefault();
    app.go(target);
    return;
  }
  lastG = event.key === "g" && !event.ctrlKey && !event.metaKey ? Date.now() : 0;
  app.screen?.onKey?.(event);
});

window.addEventListener("popstate", () => app.show());
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("keys")?.addEventListener("click", () => showKeys([...(app.screen?.keys ?? []), GENERAL_KEYS]));

function showUnsaved() {
  const badge = document.getElementById("saving");
  const unsaved = outbox.unsaved;
  const refused = outbox.refused.length;
  badge.hidden = !unsaved && !refused;
  badge.classList.toggle("problem", Boolean(outbox.problem || refused));
  if (refused) badge.textContent = `${plural(refused, "rating")} refused: ${outbox.refused[0].error} (dismiss)`;
  else badge.textContent = outbox.problem ? `${formatUnsaved(unsaved)}: ${outbox.problem}` : formatUnsaved(unsaved);
}

const formatUnsaved = (count) => `${count} unsaved`;

document
  .getElementById("saving")
  ?.addEventListener("click", () => (outbox.refused.length ? outbox.dismissRefused() : outbox.send()));
outbox.addEventListener("change", showUnsaved);
window.addEventListener("beforeunload", (event) => {
  if (outbox.unsaved && outbox.problem) event.preventDefault();
});

const connection = document.getElementById("connection");
live.on("lost", () => {
  connection.hidden = false;
});
live.on("hello", () => {
  connection.hidden = true;
  outbox.send();
});
live.on("news", ({ kind, run_id: runId, job }) => {
  if (kind !== "job_completed") return;
  const text = job
    ? `Run ended: ${job.status}, ${plural(job.output_count, "image")}`
    : "Run ended; it was not recorded";
  toast(text, { action: job ? "Show" : null, onAction: () => app.go(`/runs/${runId}`) });
});

/** While the index is filled for the first time, show how far it is; then show the screen again. */
async function watchIndexing() {
  const banner = document.getElementById("banner");
  while (!app.status.is_indexed) {
    banner.hidden = false;
    banner.textContent = `Looking through the run folders: ${plural(app.status.run_count, "run")} so far. What is shown is not all yet.`;
    await new Promise((resolve) => {
      setTimeout(resolve, 700);
    });
    app.status = await getJson("/api/status").catch(() => app.status);
    if (app.status.is_indexed) await app.show();
  }
  banner.hidden = true;
}

async function start() {
  live.start();
  app.status = await getJson("/api/status");
  document.getElementById("readonly").hidden = !app.status.is_read_only;
  outbox.start(app.status.store);
  import("./screens/import_progress.js").then(({ startImportProgress }) => startImportProgress(app));
  const isEmpty = app.status.is_indexed && app.status.run_count === 0 && !app.status.is_read_only;
  if (isEmpty && location.pathname === "/") app.remember("/import");
  await app.show();
  await watchIndexing();
}

start();
