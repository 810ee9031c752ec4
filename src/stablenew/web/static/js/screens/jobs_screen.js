// Jobs: every job that fits a search, newest first, as it comes.

import { getBytes, getJson } from "../data/api.js";
import { outbox } from "../data/feedback_outbox.js";
import { formatCount, plural } from "../data/format.js";
import { mergeDescending } from "../data/job_list.js";
import { live } from "../data/live.js";
import { splitQuery, toggleCondition } from "../data/query_text.js";
import { showEmpty } from "../parts/dialogs.js";
import { buildSelect, buttonLink, debounce, fill, h, isShortcut, setText } from "../parts/dom.js";
import { buildFacets } from "../parts/facet_rail.js";
import { JobRows } from "./job_rows.js";

const FIRST_PAGE = 50;
const MAX_FACET_VALUES = 12;
const RELOAD_MILLISECONDS = 300;
const FACETS_MILLISECONDS = 400;
const ORDERS = [
  ["time", "Newest first"],
  ["oldest", "Oldest first"],
  ["rating", "Best rated"],
  ["duration", "Longest"],
  ["outputs", "Most images"],
  ["variants", "Most variants"],
];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new JobsScreen(root, app, app.query ?? "", search.get("sort") ?? "time");

class JobsScreen {
  constructor(root, app, query, sort) {
    this.app = app;
    this.query = query;
    this.sort = sort;
    this.rows = new JobRows({
      isReadOnly: app.status.is_read_only,
      onOpen: (url) => app.go(url),
    });
    this.facets = {};
    /** The list as it would be with the jobs that arrived while it was scrolled. @type {BigInt64Array | null} */
    this.pendingNumbers = null;
    /** How many changes the server announced; an answer is out of date when there were more meanwhile. */
    this.changeCount = 0;
    /** Whether feedback was under way when the list was loaded: it may change what fits, and the order. */
    this.isIndexBehind = false;
    this.build(root);
    this.reloadSoon = debounce(() => this.reload(), RELOAD_MILLISECONDS);
    this.facetsSoon = debounce(() => this.loadFacets(), FACETS_MILLISECONDS);
    this.unsubscribe = this.subscribe();
  }

  build(root) {
    root.className = "screen jobs";
    this.pill = h("button.pill", { hidden: true, click: () => this.showNew() });
    this.empty = h("div.empty", { hidden: true });
    this.facetList = h("div.facet-list");
    this.rail = h(
      "aside.rail",
      { "aria-label": "Filters" },
      h("div.rail-head", this.app.box.viewsElement),
      this.facetList,
    );
    this.rail.hidden = window.innerWidth <= 700;
    this.box = this.app.box;
    fill(
      root,
      h("h1.sr-only", "Jobs"),
      h(
        "div.wall-columns",
        this.rail,
        h("div.list-box", this.buildToolbar(), this.pill, this.rows.element, this.empty),
      ),
    );
  }

  toggleFacets() {
    this.rail.hidden = !this.rail.hidden;
  }

  /** The app's search changed. */
  onQuery(query) {
    this.search(query ?? "");
  }

  buildToolbar() {
    this.total = h("span.total", { role: "status" });
    this.order = buildSelect(ORDERS, this.sort, (sort) => this.reorder(sort), { "aria-label": "Order" });
    this.images = buttonLink("/", "Show images");
    return h("div.toolbar", this.total, h("div.toolbar-end", this.order, this.images));
  }

  /** Listen to the server and the outbox. Gives the functions that end it. */
  subscribe() {
    const onSaved = () => {
      if (this.isIndexBehind && !outbox.unsaved) this.reloadSoon();
      this.isIndexBehind &&= outbox.unsaved > 0;
    };
    outbox.addEventListener("change", onSaved);
    return [
      () => outbox.removeEventListener("change", onSaved),
      live.on("changes", (detail) => this.onChanges(detail)),
      live.on("hello", () => this.reload()),
    ];
  }

  close() {
    this.rows.close();
    this.reloadSoon.cancel();
    this.facetsSoon.cancel();
    this.unsubscribe.forEach((end) => end());
    this.abort?.abort();
  }

  /** Put query and order into the address, so that a reload comes back to them. */
  remember() {
    const parameters = new URLSearchParams();
    if (this.query) parameters.set("q", this.query);
    if (this.sort !== "time") parameters.set("sort", this.sort);
    const text = parameters.toString();
    this.app.remember(text ? `/jobs?${text}` : "/jobs");
    this.images.setAttribute("href", this.query ? `/?q=${encodeURIComponent(this.query)}` : "/");
  }

  search(query) {
    this.query = query;
    this.rows.active = 0;
    return this.load();
  }

  reorder(sort) {
    this.sort = sort;
    this.rows.active = 0;
    return this.load();
  }

  /** Load the first page, to show it at once, and then the numbers of all jobs that fit. */
  async load() {
    this.remember();
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.rows.jobs.signal = signal;
    this.rows.jobs.query = this.query;
    this.rows.jobs.rows.clear();
    const { changeCount } = this;
    this.isIndexBehind = outbox.unsaved > 0;
    const search = { query: this.query, sort: this.sort };
    const all = getBytes("/api/jobs/numbers", search, signal);
    all.catch(() => {}); // awaited below; until then a failure is not unhandled
    try {
      const first = await getJson("/api/jobs", { ...search, limit: FIRST_PAGE }, signal);
      first.jobs.forEach((job) => this.rows.jobs.cache(job));
      this.useNumbers(BigInt64Array.from(first.jobs.map((job) => BigInt(job.number))), {
        isWhole: !first.next_cursor,
      });
      this.rows.goToTop();
      this.useNumbers(new BigInt64Array(await all), { isWhole: true });
      this.showPill(null);
      if (changeCount !== this.changeCount) this.reloadSoon();
      this.loadFacets();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 422) this.box.apply();
      throw error;
    }
  }

  /** Show these jobs; `prepended` are new at the head, so that the rows that are shown only move. */
  useNumbers(numbers, { isWhole, prepended = 0 }) {
    this.rows.setNumbers(numbers, { prepended });
    setText(this.total, isWhole ? plural(numbers.length, "job") : `${formatCount(numbers.length)}+ jobs`);
    this.showEmptyState(isWhole);
  }

  showEmptyState(isWhole) {
    const isEmpty = isWhole && this.rows.jobs.length === 0;
    this.rows.element.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    showEmpty(this.empty, "job", this.app.status, this.query ? () => this.box.set("") : null);
  }

  onKey(event) {
    if (isShortcut(event)) return;
    if (!this.rows.onKey(event)) {
      if (event.key === "v") this.app.go(this.images.getAttribute("href"));
      else if (event.key === "n" && !this.pill.hidden) this.showNew();
      else return;
    }
    event.preventDefault();
  }

  /** Jobs came, changed or went. */
  onChanges({ changes, jobs, is_reset: isReset }) {
    this.changeCount += 1;
    this.facetsSoon();
    let needsReload = isReset;
    const arrived = [];
    for (const { kind, run_id: runId } of changes) {
      const job = jobs[runId];
      if (!job || kind === "run_removed") {
        needsReload = true;
        continue;
      }
      if (!this.rows.jobs.hasRow(job.number)) arrived.push(BigInt(job.number));
      this.rows.jobs.cache(job);
    }
    if (arrived.length < changes.length) this.rows.list.refreshAll();
    if (this.query || this.sort !== "time") needsReload ||= arrived.length > 0;
    else if (arrived.length) this.insert(arrived);
    if (needsReload) this.reloadSoon();
  }

  /** Add jobs to the list of all jobs, at their places by time. */
  insert(arrived) {
    const numbers = this.pendingNumbers ?? this.rows.jobs.numbers;
    const merged = mergeDescending(numbers, arrived);
    if (!merged) this.reloadSoon();
    else if (merged !== numbers) this.offer(merged);
  }

  /** Show the list as it now is; where the person has scrolled, wait until they want to see it. */
  offer(numbers) {
    const { numbers: shown } = this.rows.jobs;
    if (!this.rows.isAtTop && shown.length) {
      this.showPill(numbers);
      return;
    }
    const added = numbers.length - shown.length;
    const isPrepended = added > 0 && shown.length > 0 && numbers[added] === shown[0];
    this.useNumbers(numbers, { isWhole: true, prepended: isPrepended ? added : 0 });
    this.showPill(null);
  }

  /** Say how many jobs are new in `numbers`; null hides it. A list that became shorter is shown at once. */
  showPill(numbers) {
    const count = numbers ? numbers.length - this.rows.jobs.length : 0;
    this.pendingNumbers = count < 0 ? null : numbers;
    this.pill.hidden = count <= 0;
    if (count > 0) setText(this.pill, `${formatCount(count)} new`);
    if (count < 0) this.useNumbers(numbers, { isWhole: true });
  }

  /** Show the jobs that arrived meanwhile, from the top. */
  showNew() {
    if (!this.pendingNumbers) return;
    this.rows.active = 0;
    this.useNumbers(this.pendingNumbers, { isWhole: true });
    this.showPill(null);
    this.rows.goToTop();
  }

  async reload() {
    const { changeCount } = this;
    try {
      const search = { query: this.query, sort: this.sort };
      const numbers = new BigInt64Array(await getBytes("/api/jobs/numbers", search, this.abort?.signal));
      if (changeCount !== this.changeCount) {
        this.reloadSoon(); // this answer is out of date already
        return;
      }
      const { numbers: shown } = this.rows.jobs;
      const isSame = numbers.length === shown.length && numbers.every((number, index) => number === shown[index]);
      if (!isSame || !numbers.length) this.offer(numbers);
      this.loadFacets();
    } catch (error) {
      if (error.name !== "AbortError") this.reloadSoon();
    }
  }

  async loadFacets() {
    const request = { query: this.query, limit: MAX_FACET_VALUES };
    this.facets = await getJson("/api/facets", request, this.abort?.signal).catch(() => this.facets);
    const chosen = new Set(splitQuery(this.query).map((part) => part.text));
    const toggle = (field, value) => this.box.set(toggleCondition(this.query, field, value));
    fill(this.facetList, buildFacets(this.facets, chosen, toggle));
  }
}
