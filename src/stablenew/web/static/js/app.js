// The page: which screen is shown, what all screens share.

import { getJson, Refused, Unreachable } from "./data/api.js";
import { outbox } from "./data/feedback_outbox.js";
import { plural } from "./data/format.js";
import { live } from "./data/live.js";
import { getItem, setItem } from "./data/local_storage.js";
import { showError, showKeys, toast } from "./parts/dialogs.js";
import { fill, h, isTyping, link } from "./parts/dom.js";
import { icon } from "./parts/images/icons.js";
import { isVeiled, setVeil } from "./parts/veil.js";
import { QueryBox } from "./parts/query_box.js";

const SCREENS = [
  { path: /^\/$/, name: "wall", title: "Wall", load: () => import("./screens/wall_screen.js") },
  { path: /^\/jobs$/, name: "jobs", title: "Jobs", load: () => import("./screens/jobs_screen.js") },
  { path: /^\/runs\/([^/]+)$/, name: "jobs", title: "Run", load: () => import("./screens/run/run_screen.js") },
  { path: /^\/compare$/, name: "compare", title: "Compare", load: () => import("./screens/compare/compare_screen.js") },
  { path: /^\/duel$/, name: "duel", title: "Duel", load: () => import("./screens/duel/duel_screen.js") },
  { path: /^\/grid$/, name: "grid", title: "Grid", load: () => import("./screens/grid/grid_screen.js") },
  { path: /^\/trash$/, name: "health", title: "Trash", load: () => import("./screens/trash/trash_screen.js") },
  { path: /^\/copies$/, name: "health", title: "Copies", load: () => import("./screens/copies/copies_screen.js") },
  { path: /^\/new$/, name: "new", title: "New run", load: () => import("./screens/new_screen.js") },
  { path: /^\/tune$/, name: "tune", title: "Tune", load: () => import("./screens/tune_screen.js") },
  { path: /^\/insights$/, name: "insights", title: "Insights", load: () => import("./screens/insights_screen.js") },
  { path: /^\/import$/, name: "import", title: "Import", load: () => import("./screens/import_screen.js") },
  { path: /^\/health$/, name: "health", title: "Health", load: () => import("./screens/health_screen.js") },
];
/** Screens that show what the search finds; the others go to the wall with it. */
const SEARCHED = ["wall", "jobs"];
const THEMES = ["dark", "light", "system"];
const THEME_KEY = "stablenew:theme";
const KNOWN_MILLISECONDS = 400;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

const withQuery = (path, query) => (query === null ? path : `${path}?q=${encodeURIComponent(query)}`);

const screenHere = () => SCREENS.find(({ path }) => path.test(location.pathname));

/** Whether the search decides what a screen shows. */
const isSearched = (screen) => SEARCHED.includes(screen?.name ?? "") && !location.pathname.startsWith("/runs/");

/** The bytes that a text in base64 stands for. */
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

/** What screens are given: the state of the server, and the way to other screens. */
const app = {
  /** @type {any} */
  status: null,
  /** @type {any} */
  screen: null,
  generation: 0,
  /** Whether a screen could not be shown because nobody answered. */
  isLost: false,
  /** The search, on all screens the same; null where nobody searched yet. @type {string | null} */
  query: null,
  /** What the wall shows until somebody searches. */
  defaultQuery: "",
  /** What the server put into the page for the first screen. @type {any} */
  first: null,

  /** Its images, once, if they are what `search` finds. */
  takeFirst({ query, sort, group }) {
    const { first } = this;
    this.first = null;
    const isIt = first && first.query === query && first.sort === sort && first.group === group;
    return isIt ? { rows: first.rows, snapshot: decode(first.snapshot) } : null;
  },

  /** Search for something else, on this screen or on the wall. What was found before is one step back, if `isNew`. */
  search(query, { isNew = true } = {}) {
    this.query = query;
    if (isNew && this.screen && isSearched(screenHere())) history.pushState(null, "", location.href); // it remembers
    if (this.screen?.onQuery) this.screen.onQuery(query);
    else this.go(withQuery(isSearched(screenHere()) ? location.pathname : "/", query)); // it may still be loading
    showLinks();
  },

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

  /** Nothing can be shown until the server is back. */
  showLost() {
    this.isLost = true;
    this.screen?.close?.();
    this.screen = null;
    fill(
      main,
      h(
        "div.page",
        h("h1", "The server cannot be reached"),
        h("p", "This page goes on when it is back. To start it: ", h("code", "stablenew serve")),
        h("p.soft", "What you rated meanwhile is kept in this browser."),
      ),
    );
  },

  async show() {
    this.isLost = false;
    const screen = screenHere();
    const search = new URLSearchParams(location.search);
    if (isSearched(screen)) this.query = search.get("q");
    this.box.show(this.query ?? (screen?.name === "wall" ? this.defaultQuery : ""));
    showLinks();
    const generation = (this.generation += 1);
    this.screen?.close?.();
    this.screen = null;
    main.replaceChildren();
    document.body.classList.remove("menu");
    const filter = /** @type {HTMLButtonElement} */ (document.getElementById("filter"));
    filter.hidden = true;
    if (!screen) {
      document.title = "No such page · StableNew";
      fill(main, h("div.page", h("h1", "There is no such page"), link("/", "Go to the wall")));
      return;
    }
    document.title = `${screen.title} · StableNew`;
    document.body.dataset.screen = screen.name;
    for (const link of document.querySelectorAll("[data-screen]")) {
      if (link.getAttribute("data-screen") === screen.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const module = await screen.load().catch((error) => {
      if (error instanceof TypeError) return null; // it was to be fetched, and nobody answered
      throw error;
    });
    if (generation !== this.generation) return;
    if (!module) return this.showLost();
    const root = h("div"); // one for each screen: what an earlier one still loads goes nowhere
    main.replaceChildren(root);
    try {
      this.screen = module.open(root, {
        match: screen.path.exec(location.pathname),
        search,
        app: this,
      });
      filter.hidden = !this.screen.toggleFacets;
      await this.screen.load();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (error instanceof Unreachable && generation === this.generation) return this.showLost();
      showError(error);
      if (!(error instanceof Refused)) throw error;
    }
  },
};

app.box = new QueryBox({ query: "", onChange: (query, options) => app.search(query, options) });

/** Links to screens that search take the search along. */
function showLinks() {
  for (const link of document.querySelectorAll("[data-searched]"))
    link.setAttribute("href", withQuery(/** @type {string} */ (link.getAttribute("data-searched")), app.query));
}

/** The keys of this screen, and those that do the same everywhere. */
async function openKeys() {
  const known = await getJson("/static/keys.json");
  showKeys([...(app.screen?.keys ?? known[screenHere()?.title ?? ""] ?? []), ...known[""]]);
}

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
    openKeys();
    event.preventDefault();
    return;
  }
  if (event.key === "/" && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    app.box.focus();
    return;
  }
  const target = { w: "/", j: "/jobs", d: "/duel", g: "/grid", n: "/new", i: "/insights", t: "/tune", e: "/health" }[
    event.key
  ];
  if (target && Date.now() - lastG < 1000 && !event.ctrlKey && !event.metaKey) {
    lastG = 0;
    event.preventDefault();
    const chosen = /[dg]/.test(event.key) && app.screen?.chosenQuery;
    app.go(chosen ? withQuery(target, chosen) : target);
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
document.getElementById("keys")?.addEventListener("click", openKeys);

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

/** Show again what could not be shown without the server; a module that could not be had takes a new page. */
function comeBack() {
  if (app.isLost && connection.hidden && !outbox.unsaved) location.reload();
}

outbox.addEventListener("change", comeBack);
live.on("lost", () => {
  connection.hidden = false;
});
live.on("hello", () => {
  connection.hidden = true;
  outbox.send();
  comeBack();
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
    banner.textContent = `Reading the run folders: ${plural(app.status.run_count, "run")} so far. Not everything is shown yet.`;
    await new Promise((resolve) => {
      setTimeout(resolve, 700);
    });
    app.status = await getJson("/api/status").catch(() => app.status);
    if (app.status.is_indexed) await app.show();
  }
  banner.hidden = true;
}

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button?.setAttribute("aria-label", `Theme: ${theme}`);
  button?.setAttribute("title", `Theme: ${theme}`);
}

function buildFrame() {
  document.getElementById("search")?.append(app.box.element);
  const theme = document.getElementById("theme");
  fill(theme, icon("theme"));
  theme?.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "dark") + 1) % THEMES.length];
    setItem(THEME_KEY, next);
    showTheme(next);
  });
  for (const slot of document.querySelectorAll("[data-icon]")) slot.prepend(icon(slot.getAttribute("data-icon")));
  document.getElementById("filter")?.addEventListener("click", () => app.screen?.toggleFacets?.());
  document.getElementById("more")?.addEventListener("click", () => document.body.classList.toggle("menu"));
}

async function start() {
  showTheme(getItem(THEME_KEY) ?? "dark");
  buildFrame();
  setVeil(isVeiled());
  app.first = JSON.parse(main.dataset.first ?? "null");
  delete main.dataset.first;
  app.status = app.first?.status ?? (await getJson("/api/status"));
  app.defaultQuery = app.status.wall_query;
  if (app.status.device) {
    for (const link of document.querySelectorAll("[data-screen]"))
      if (!app.status.screens.includes(link.getAttribute("data-screen"))) link.remove();
  }
  document.getElementById("readonly").hidden = !app.status.is_read_only;
  outbox.start(app.status.store);
  import("./screens/import_progress.js").then(({ startImportProgress }) => startImportProgress(app));
  const isEmpty = app.status.is_indexed && app.status.run_count === 0 && !app.status.is_read_only && !app.status.device;
  if (isEmpty && location.pathname === "/") app.remember("/import");
  live.start(); // before the screen, which may wait for an event
  await app.show();
  setTimeout(() => app.box.loadKnown(!app.status.device), KNOWN_MILLISECONDS);
  await watchIndexing();
}

start();
