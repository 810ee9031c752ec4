// The search: one line of text, its conditions as chips, completion of fields and values, and where it goes wrong.

import { getJson, postJson } from "../data/api.js";
import { askText, showError, toast } from "./dialogs.js";
import { debounce, fill, h } from "./dom.js";
import { completeCondition, conditionAt, insertCompletion, removeCondition, splitQuery } from "../data/query_text.js";

const CHECK_MILLISECONDS = 120;
const MAX_CHOICES = 12;
const MAX_VALUES = 200;
const PLACEHOLDER = "Search prompts, cfg:>5, rating:>=4";
/** What the conditions are called that hide images from the wall unless they are removed. */
const HIDING = { "-flag:reject": "− rejected", "-is:trashed": "− trash" };

export class QueryBox {
  /** @param {{query: string, onChange: (query: string, options: {isNew: boolean}) => void}} options */
  constructor({ query, onChange }) {
    this.onChange = onChange;
    /** @type {Record<string, {value: any, count?: number}[]>} */
    this.values = {};
    this.query = query;
    /** Whether the last search was typed since the box got the focus: what is typed on is the same search. */
    this.isTyped = false;
    /** @type {string[]} */
    this.fields = [];
    /** @type {string[]} */
    this.switches = [];
    /** @type {{text: string, note: string}[]} */
    this.offered = [];
    this.choice = -1;
    this.input = h("input.query-input", {
      type: "text",
      id: "query",
      autocomplete: "off",
      spellcheck: "false",
      role: "combobox",
      "aria-label": "Search",
      "aria-expanded": "false",
      "aria-controls": "query-choices",
      "aria-autocomplete": "list",
      placeholder: PLACEHOLDER,
      value: query,
      input: () => this.typed(),
      keydown: (event) => this.onKey(event),
      focus: () => this.focused(),
      blur: () => setTimeout(() => this.hideChoices(), 150),
    });
    this.chips = h("div.chips");
    this.problem = h("div.query-problem", { role: "alert", hidden: true });
    this.choices = h("ul.choices", { id: "query-choices", role: "listbox", "aria-label": "Completions", hidden: true });
    this.views = h("select", { "aria-label": "Saved searches", change: () => this.openView() });
    /** What screens put among their filters. */
    this.viewsElement = h("div.views", this.views, h("button.quiet", { click: () => this.saveView() }, "Save search"));
    this.element = h(
      "div.query",
      { role: "search" },
      h("div.query-field", this.input, this.chips, this.choices),
      this.problem,
    );
    this.check = debounce(() => this.apply({ isTyped: true }), CHECK_MILLISECONDS);
    this.showChips();
    this.showViews([]);
  }

  /** Learn what can be completed and what was saved; nothing that the first look at a screen waits for. */
  loadKnown(hasViews) {
    getJson("/api/query/fields").then(
      (answer) => {
        this.fields = answer.fields;
        this.switches = answer.switches;
        this.showChoices();
      },
      () => {},
    );
    this.viewsElement.hidden = !hasViews;
    if (hasViews) this.loadViews();
  }

  /** Give the focus to what was searched, so that Tab goes on there. */
  leave() {
    this.input.blur();
    const found = document.querySelector("main [role=listbox]") ?? document.querySelector("main");
    /** @type {HTMLElement | null} */ (found)?.focus({ preventScroll: true });
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Show another search; nobody asked for it here. What somebody is typing meanwhile stays, and is searched for next. */
  show(query) {
    const isTyping = document.activeElement === this.input && this.input.value.trim() !== this.query;
    this.query = query;
    if (!isTyping) this.input.value = query;
    this.showProblem(null, query);
    this.showChips();
  }

  /** Search for something else. */
  set(query) {
    this.input.value = query;
    this.check.cancel();
    return this.apply();
  }

  typed() {
    this.choice = -1;
    this.showChoices();
    this.check();
  }

  async apply({ isTyped = false } = {}) {
    const query = this.input.value.trim();
    const { problem } = await getJson("/api/query", { query });
    if (query !== this.input.value.trim()) return;
    this.showProblem(problem, query);
    if (problem || query === this.query) return;
    this.query = query;
    this.showChips();
    const isNew = !(isTyped && this.isTyped);
    this.isTyped = isTyped;
    this.onChange(query, { isNew });
  }

  showProblem(problem, query) {
    this.problem.hidden = !problem;
    this.input.setAttribute("aria-invalid", String(Boolean(problem)));
    if (!problem) return;
    const at = Math.min(problem.position, query.length);
    fill(
      this.problem,
      h("code", query.slice(0, at), h("mark", query.slice(at, at + 1) || " "), query.slice(at + 1)),
      h("span", problem.error),
    );
  }

  showChips() {
    fill(
      this.chips,
      splitQuery(this.query).map(({ text }, index) => this.buildChip(text, index)),
      this.query ? h("span.chips-hint", { "aria-hidden": "true" }, PLACEHOLDER) : null,
    );
    this.element?.classList.toggle("has-chips", Boolean(this.query));
  }

  buildChip(text, index) {
    return h(
      "button",
      {
        class: text.startsWith("-") ? "chip not" : "chip",
        "aria-label": `Remove ${text}`,
        title: `Remove ${text}`,
        click: () => this.set(removeCondition(this.query, index)),
      },
      HIDING[text] ?? text,
      h("span", { "aria-hidden": "true" }, " ×"),
    );
  }

  get cursor() {
    return this.input.selectionStart ?? this.input.value.length;
  }

  completions() {
    return completeCondition(conditionAt(this.input.value, this.cursor).text, this);
  }

  showChoices() {
    this.offered = document.activeElement === this.input ? this.completions().slice(0, MAX_CHOICES) : [];
    this.choices.hidden = !this.offered.length;
    this.input.setAttribute("aria-expanded", String(Boolean(this.offered.length)));
    fill(
      this.choices,
      this.offered.map((completion, index) => this.buildChoice(completion, index)),
    );
    if (this.choice >= 0) this.input.setAttribute("aria-activedescendant", `choice-${this.choice}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  buildChoice({ text, note }, index) {
    const onPress = (event) => {
      event.preventDefault(); // the field keeps the focus
      this.complete(text);
    };
    return h(
      "li",
      {
        id: `choice-${index}`,
        role: "option",
        "aria-selected": String(index === this.choice),
        class: index === this.choice ? "active" : "",
        mousedown: onPress,
      },
      h("span", text),
      h("span.count", note),
    );
  }

  focused() {
    this.isTyped = false;
    return this.loadValues();
  }

  /** Ask for the values there are, to complete with. */
  async loadValues() {
    this.values = await getJson("/api/images/facets", { limit: MAX_VALUES }).catch(() => this.values);
    this.showChoices();
  }

  hideChoices() {
    this.choices.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  complete(completion) {
    const { text, cursor } = insertCompletion(this.input.value, this.cursor, completion);
    this.input.value = text;
    this.input.setSelectionRange(cursor, cursor);
    this.typed();
  }

  onKey(event) {
    const isOpen = !this.choices.hidden;
    if (event.key === "ArrowDown" && isOpen) this.choice = Math.min(this.offered.length - 1, this.choice + 1);
    else if (event.key === "ArrowUp" && isOpen) this.choice = Math.max(-1, this.choice - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && isOpen && this.choice >= 0) {
      this.complete(this.offered[this.choice].text);
      event.preventDefault();
      return;
    } else if (event.key === "Enter") {
      this.check.cancel();
      this.hideChoices();
      this.apply({ isTyped: true });
      return;
    } else if (event.key === "Escape") {
      if (isOpen) this.hideChoices();
      else this.leave();
      return;
    } else return;
    event.preventDefault();
    this.showChoices();
  }

  async loadViews() {
    const found = await getJson("/api/views").catch(() => null);
    if (found) this.showViews(found.views);
  }

  showViews(views) {
    this.saved = views;
    this.views.hidden = !views.length;
    fill(
      this.views,
      h("option", { value: "" }, "Saved searches…"),
      views.map((view) => h("option", { value: `+${view.name}` }, view.name)),
      views.length
        ? h(
            "optgroup",
            { label: "Remove" },
            views.map((view) => h("option", { value: `-${view.name}` }, `Remove ${view.name}`)),
          )
        : null,
    );
  }

  async openView() {
    const chosen = this.views.value;
    const name = chosen.slice(1);
    this.views.value = "";
    if (chosen.startsWith("-")) this.showViews((await postJson("/api/views", { name, query: null })).views);
    else if (chosen) await this.set(this.saved.find((view) => view.name === name)?.query ?? "");
  }

  async saveView() {
    const name = await askText({ title: "Save this search", label: "Name", hint: this.query || "(everything)" });
    if (!name?.trim()) return;
    try {
      this.showViews((await postJson("/api/views", { name, query: this.query })).views);
      toast(`Saved as ${name.trim()}`);
    } catch (error) {
      showError(error);
    }
  }
}
