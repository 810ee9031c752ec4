// Job history: every job that fits a search, newest first, as it comes.

import { getBytes, getJson, runUrl } from "../data/api.js";
import { showEmpty } from "../parts/dialogs.js";
import { debounce, fill, h, setText } from "../parts/dom.js";
import { buildFacets } from "../parts/facet_rail.js";
import { formatCount, plural } from "../data/format.js";
import { createRow, showJob } from "../parts/job_row.js";
import { live } from "../data/live.js";
import { QueryBox } from "../parts/query_box.js";
import { splitQuery, toggleCondition } from "../data/query_text.js";
import { outbox } from "../data/feedback_outbox.js";
import { VirtualList } from "../parts/virtual_list.js";

const FIRST_PAGE = 50;
const MOST_ROWS_ASKED = 120;
const MOST_ROWS_HELD = 4000;
const MOST_MERGED = 5000;
const KEYS = [
  [
    "History",
    [
      ["↑ ↓", "one job up or down (also k j)"],
      ["PgUp PgDn", "a page"],
      ["Home End", "newest, oldest"],
      ["Enter", "show the run"],
      ["0 5", "rate the job 0 to 5"],
      ["Delete", "take its rating away"],
      ["z", "undo"],
      ["Z", "redo"],
      ["/", "search"],
      ["v", "review the images of this search"],
      ["n", "show new jobs"],
    ],
  ],
];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) =>
  new HistoryScreen(root, app, search.get("q") ?? "", search.get("sort") ?? "time");

class HistoryScreen {
  constructor(root, app, query, sort) {
    this.app = app;
    this.query = query;
    this.sort = sort;
    this.keys = KEYS;
    this.active = 0;
    this.numbers = new BigInt64Array(0);
    /** @type {Map<string, any>} */
    this.rows = new Map();
    this.facets = {};
    this.waiting = null;
    this.heard = 0;
    this.isTouched = false;
    this.isAheadOfIndex = false;
    this.wanted = [0, 0];
    this.stops = [];
    this.build(root);
  }

  build(root) {
    root.className = "screen history";
    this.box = new QueryBox({ query: this.query, onChange: (query) => this.search(query) });
    this.total = h("span", { class: "total", role: "status" });
    this.pill = h("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.showNew() } });
    this.order = h(
      "select",
      { "aria-label": "Order", on: { change: () => this.reorder(this.order.value) } },
      [
        ["time", "Newest first"],
        ["oldest", "Oldest first"],
        ["rating", "Best rated"],
        ["duration", "Longest"],
        ["outputs", "Most images"],
        ["variants", "Most variants"],
      ].map(([value, text]) => h("option", { value }, text)),
    );
    this.order.value = this.sort;
    this.review = h("a", { class: "button primary", "data-link": true, href: "/review" }, "Review images");
    this.rail = h("aside", { class: "facets", "aria-label": "Narrow down" });
    this.layer = h("div", { class: "rows", role: "list", "aria-label": "Jobs" });
    this.viewport = h("div", { class: "viewport", tabindex: -1 }, this.layer);
    this.empty = h("div", { class: "empty", hidden: true });
    const narrow = h(
      "details",
      { class: "facet-box", open: window.matchMedia("(min-width: 900px)").matches },
      h("summary", {}, "Narrow down"),
      this.rail,
    );
    fill(
      root,
      h("h1", { class: "sr-only" }, "Job history"),
      h(
        "div",
        { class: "toolbar" },
        this.box.element,
        h("div", { class: "toolbar-end" }, this.total, this.order, this.review),
      ),
      h("div", { class: "columns" }, narrow, h("div", { class: "list-box" }, this.pill, this.viewport, this.empty)),
    );
    this.list = new VirtualList(this.viewport, this.layer, {
      itemHeight: () => (window.matchMedia("(max-width: 700px)").matches ? 132 : 84),
      create: () => this.createRow(),
      show: (node, index) => this.showRow(node, index),
      move: (node, index) => this.showPlace(node, index),
      onRange: (first, last) => this.need(first, last),
    });
    this.reloadSoon = debounce(() => this.reload(), 300);
    this.facetsSoon = debounce(() => this.loadFacets(), 400);
    const whenSaved = () => {
      if (this.isAheadOfIndex && !outbox.unsaved) this.reloadSoon();
      this.isAheadOfIndex &&= outbox.unsaved > 0;
    };
    outbox.addEventListener("change", whenSaved);
    this.stops.push(
      () => outbox.removeEventListener("change", whenSaved),
      live.on("changes", (detail) => this.changed(detail)),
      live.on("hello", () => this.reload()),
    );
  }

  close() {
    this.list.close();
    this.reloadSoon.cancel();
    this.facetsSoon.cancel();
    this.stops.forEach((stop) => stop());
    this.abort?.abort();
  }

  remember() {
    const parameters = new URLSearchParams();
    if (this.query) parameters.set("q", this.query);
    if (this.sort !== "time") parameters.set("sort", this.sort);
    const text = parameters.toString();
    this.app.remember(text ? `/?${text}` : "/");
    this.review.setAttribute("href", this.query ? `/review?q=${encodeURIComponent(this.query)}` : "/review");
  }

  search(query) {
    this.query = query;
    this.active = 0;
    return this.load();
  }

  reorder(sort) {
    this.sort = sort;
    this.active = 0;
    return this.load();
  }

  /** Everything anew: the first page at once, then the numbers of all jobs that fit. */
  async load() {
    this.remember();
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    const heard = this.heard;
    this.isAheadOfIndex = outbox.unsaved > 0; // what an earlier page said is about to change what fits, and its order
    const asked = { query: this.query, sort: this.sort };
    const all = getBytes("/api/jobs/numbers", asked, signal);
    all.catch(() => {});
    try {
      const first = await getJson("/api/jobs", { ...asked, limit: FIRST_PAGE }, signal);
      first.jobs.forEach((job) => this.hold(job));
      this.use(BigInt64Array.from(first.jobs.map((job) => BigInt(job.number))), { isWhole: !first.next_cursor });
      this.list.moveTo(0);
      this.list.render(true);
      this.use(new BigInt64Array(await all), { isWhole: true });
      this.showPill(null);
      if (heard !== this.heard) this.reloadSoon();
      this.loadFacets();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 422) this.box.apply();
      throw error;
    }
  }

  use(numbers, { isWhole, prepended = 0 }) {
    this.numbers = numbers;
    this.active = Math.min(this.active, Math.max(0, numbers.length - 1));
    if (prepended) this.list.prepend(prepended);
    else this.list.setCount(numbers.length);
    setText(this.total, isWhole ? plural(numbers.length, "job") : `${formatCount(numbers.length)}+ jobs`);
    this.showEmptyState(isWhole);
  }

  showEmptyState(isWhole) {
    const isEmpty = isWhole && this.numbers.length === 0;
    this.viewport.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    if (this.query && this.app.status.is_indexed) {
      showEmpty(
        this.empty,
        "No job fits this search",
        h("p", {}, "Take a condition away, or begin anew."),
        h("button", { type: "button", on: { click: () => this.box.set("") } }, "Show all jobs"),
      );
    } else if (!this.app.status.is_indexed) {
      showEmpty(this.empty, "Looking through the run folders…", h("p", {}, "Jobs show up here as they are found."));
    } else {
      showEmpty(
        this.empty,
        "No runs yet",
        h("p", {}, "Make one here, or let your own pipeline record into ", h("code", {}, this.app.status.store), "."),
        h("p", {}, h("a", { class: "button primary", "data-link": true, href: "/new" }, "Make a run")),
        h("p", { class: "hint" }, "or in a terminal: ", h("code", {}, "stablenew demo")),
      );
    }
  }

  hold(job) {
    if (this.rows.size > MOST_ROWS_HELD)
      for (const key of [...this.rows.keys()].slice(0, MOST_ROWS_HELD / 2)) this.rows.delete(key);
    this.rows.set(job.number, job);
  }

  /** The list shows these places now: ask for the jobs it does not have. One question at a time, about the latest places. */
  need(first, last) {
    this.wanted = [first, last];
    if (!this.isAsking) this.ask();
  }

  async ask() {
    this.isAsking = true;
    try {
      for (let missing = this.missing(); missing.length; missing = this.missing()) {
        const { jobs } = await getJson("/api/jobs/rows", { numbers: missing.join(",") }, this.abort?.signal);
        jobs.forEach((job, index) => this.hold(job ?? { number: missing[index], isGone: true }));
        this.list.refreshAll();
      }
    } catch (error) {
      if (error.name !== "AbortError") setTimeout(() => this.need(...this.wanted), 1000);
    } finally {
      this.isAsking = false;
    }
  }

  missing() {
    const [first, last] = this.wanted;
    const found = [];
    for (let index = first; index < last && found.length < MOST_ROWS_ASKED; index += 1) {
      const number = String(this.numbers[index]);
      if (index < this.numbers.length && !this.rows.has(number)) found.push(number);
    }
    return found;
  }

  createRow() {
    const node = createRow((rating) => this.clickStars(node, rating), this.app.status.is_read_only);
    node.addEventListener("click", (event) => {
      if (!event.target.closest("button, a")) this.activate(node.index, { focus: true });
    });
    node.addEventListener("focusin", () => this.activate(node.index));
    node.addEventListener("dblclick", () => this.openRun(node.index));
    return node;
  }

  showRow(node, index) {
    this.showPlace(node, index);
    showJob(node, this.rows.get(String(this.numbers[index])));
  }

  showPlace(node, index) {
    node.index = index;
    node.setAttribute("aria-setsize", String(this.numbers.length));
    node.setAttribute("aria-posinset", String(index + 1));
    node.classList.toggle("active", index === this.active);
    node.parts.link.tabIndex = index === this.active ? 0 : -1;
  }

  job(index) {
    const job = this.rows.get(String(this.numbers[index]));
    return job && !job.isGone ? job : null;
  }

  /** A click on the star that is shown takes one's own rating away; where somebody else gave it, it is agreement. */
  async clickStars(node, rating) {
    const { index, parts } = node;
    const job = this.job(index);
    if (!job) return;
    const shown = parts.stars.rating;
    if (rating !== null) {
      this.rate(index, rating);
      return;
    }
    const { state, rater } = await getJson(`/api/runs/${job.run_id}/feedback`);
    const mine = outbox.overlay(job.run_id, null, state.run[rater] ?? {}).rating;
    this.rate(index, mine === shown ? null : shown);
  }

  rate(index, rating) {
    const job = this.job(index);
    if (!job || this.app.status.is_read_only) return;
    this.isTouched = true;
    outbox.submit([{ run_id: job.run_id, image_id: null, rating }], [{ rating: job.rating }]);
    this.setRating(job.run_id, rating);
  }

  setRating(runId, rating) {
    for (const job of this.rows.values()) if (job.run_id === runId) job.rating = rating;
    this.list.refreshAll();
  }

  step(name) {
    const entry = outbox[name]();
    if (!entry) return;
    entry.says.forEach((one, place) => {
      if (one.image_id === null && "rating" in one)
        this.setRating(one.run_id, name === "undo" ? (entry.before[place]?.rating ?? null) : one.rating);
    });
  }

  activate(index, { focus = false } = {}) {
    if (index < 0 || index >= this.numbers.length) return;
    const before = this.active;
    this.isTouched = true;
    this.active = index;
    if (focus) this.list.reveal(index);
    this.list.refresh(before);
    this.list.refresh(index);
    if (focus) this.list.node(index)?.parts.link.focus({ preventScroll: true });
  }

  openRun(index) {
    const job = this.job(index);
    if (job) this.app.go(runUrl(job.run_id));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: this.list.pageSize,
      PageUp: -this.list.pageSize,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in moves) {
      const target = Math.max(0, Math.min(this.numbers.length - 1, this.active + moves[event.key]));
      this.activate(target, { focus: true });
    } else if (/^[0-5]$/.test(event.key)) this.rate(this.active, Number(event.key));
    else if (event.key === "Delete") this.rate(this.active, null);
    else if (event.key === "Enter" && !event.target.closest?.("a, button, summary, select")) this.openRun(this.active);
    else if (event.key === "/") this.box.focus();
    else if (event.key === "z") this.step("undo");
    else if (event.key === "Z") this.step("redo");
    else if (event.key === "v") this.app.go(this.review.getAttribute("href"));
    else if (event.key === "n" && !this.pill.hidden) this.showNew();
    else return;
    event.preventDefault();
  }

  /** Jobs came, changed or went. */
  changed({ changes, jobs, is_reset: isReset }) {
    this.heard += 1;
    this.facetsSoon();
    let needsReload = isReset;
    const arrived = [];
    for (const { kind, run_id: runId } of changes) {
      const job = jobs[runId];
      if (!job || kind === "run_removed") {
        needsReload = true;
        continue;
      }
      const isKnown = this.rows.has(job.number);
      this.hold(job);
      if (!isKnown) arrived.push(BigInt(job.number));
    }
    if (arrived.length < changes.length) this.list.refreshAll();
    if (this.query || this.sort !== "time") needsReload ||= arrived.length > 0;
    else if (arrived.length) this.insert(arrived);
    if (needsReload) this.reloadSoon();
  }

  /** Jobs that belong into the list of all jobs, at their places by time. */
  insert(arrived) {
    const base = this.waiting ?? this.numbers;
    const fresh = arrived.filter((number) => base[placeOf(base, number)] !== number);
    if (!fresh.length) return;
    fresh.sort((a, b) => (a < b ? 1 : -1));
    const head = placeOf(base, fresh[fresh.length - 1]);
    if (head > MOST_MERGED) {
      this.reloadSoon();
      return;
    }
    const merged = head ? [...base.subarray(0, head), ...fresh].sort((a, b) => (a < b ? 1 : -1)) : fresh;
    const numbers = new BigInt64Array(base.length + fresh.length);
    numbers.set(merged);
    numbers.set(base.subarray(head), merged.length);
    this.offer(numbers);
  }

  /** Take the list as it now is, or wait until the person wants to see it. */
  offer(numbers) {
    const isAtTop = this.list.top < this.list.itemHeight / 2;
    if (isAtTop || !this.numbers.length) {
      const added = numbers.length - this.numbers.length;
      const isBefore = added > 0 && this.numbers.length > 0 && numbers[added] === this.numbers[0];
      if (isBefore && this.isTouched) this.active += added; // a key must not suddenly mean another job
      this.use(numbers, { isWhole: true, prepended: isBefore ? added : 0 });
      this.showPill(null);
    } else this.showPill(numbers);
  }

  showPill(numbers) {
    this.waiting = numbers;
    const count = numbers ? numbers.length - this.numbers.length : 0;
    this.pill.hidden = !numbers || count <= 0;
    if (count > 0) setText(this.pill, `${formatCount(count)} new`);
    if (numbers && count < 0) {
      this.use(numbers, { isWhole: true });
      this.waiting = null;
    }
  }

  showNew() {
    if (!this.waiting) return;
    const numbers = this.waiting;
    this.active = 0;
    this.use(numbers, { isWhole: true });
    this.showPill(null);
    this.list.moveTo(0);
    this.list.render(true);
  }

  async reload() {
    const heard = this.heard;
    try {
      const numbers = new BigInt64Array(
        await getBytes("/api/jobs/numbers", { query: this.query, sort: this.sort }, this.abort?.signal),
      );
      if (heard !== this.heard) {
        this.reloadSoon();
        return;
      } // something came while the answer was on its way
      const isSame =
        numbers.length === this.numbers.length && numbers.every((number, index) => number === this.numbers[index]);
      if (!isSame || !numbers.length) this.offer(numbers);
      this.loadFacets();
    } catch (error) {
      if (error.name !== "AbortError") this.reloadSoon();
    }
  }

  async loadFacets() {
    this.facets = await getJson("/api/facets", { query: this.query, limit: 12 }, this.abort?.signal).catch(
      () => this.facets,
    );
    const chosen = new Set(splitQuery(this.query).map((part) => part.text));
    const toggle = (field, value) => this.box.set(toggleCondition(this.query, field, value));
    fill(this.rail, buildFacets(this.facets, chosen, toggle));
  }
}

/** The place of `number` among falling numbers, or where it would be. */
function placeOf(numbers, number) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > number) low = middle + 1;
    else high = middle;
  }
  return low;
}
