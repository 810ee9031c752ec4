// A new run: what to make it from, on which engine, how many images that gives, and how far it is.

import { getJson, postJson, runUrl } from "../data/api.js";
import { debounce, fill, h } from "../parts/dom.js";
import { showError } from "../parts/dialogs.js";
import { formatCount, formatDuration, plural } from "../data/format.js";
import { buildRunRequest, completeList } from "../data/run_request.js";
import { describeLabel } from "../parts/record_view.js";
import { RunningJobs } from "../parts/running_jobs.js";

const PLAN_MILLISECONDS = 250;
const CHECK_MILLISECONDS = 500;
const CHECK_AGAIN_MILLISECONDS = 10_000;
const KEYS = [["New run", [["Ctrl Enter", "start"]]]];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new NewScreen(root, app, search);

class NewScreen {
  constructor(root, app, search) {
    this.root = root;
    this.app = app;
    this.again = search.get("again");
    this.vary = search.has("vary");
    this.given = search.getAll("set");
    this.chosen = search.get("pack");
    this.keys = KEYS;
    /** The fields whose texts make the request. @type {Record<string, any>} */
    this.fields = {};
    /** What fields can be completed with, by the name of the list. @type {Record<string, string[]>} */
    this.lists = {};
    /** The elements of the form that the template names. @type {Record<string, any>} */
    this.parts = {};
    this.workflow = "";
    this.planSoon = debounce(() => this.plan(), PLAN_MILLISECONDS);
    this.checkSoon = debounce(() => this.check(), CHECK_MILLISECONDS);
    this.checks = 0;
    this.running = new RunningJobs({ isReadOnly: app.status.is_read_only });
  }

  close() {
    this.planSoon.cancel();
    this.checkSoon.cancel();
    clearTimeout(this.checkAgain);
    this.checks = NaN;
    this.running.close();
  }

  async load() {
    this.choices = await getJson("/api/choices");
    this.lists = this.choices.lists;
    this.build();
    this.check();
    await this.running.load();
    await this.plan();
  }

  /** The form stands in the page as a template. */
  build() {
    const { choices } = this;
    const { fields, parts } = this.readTemplate();
    const select = (field, pairs) => field.append(...pairs.map(([value, text]) => h("option", { value }, text)));
    select(
      fields.engine,
      choices.engines.map(({ name }) => [name, name]),
    );
    if (this.again) {
      parts.purpose.textContent = this.vary
        ? "Vary the variants of"
        : "Run again, with the same seeds, the variants of";
      fill(parts.run, this.again).href = runUrl(this.again);
      parts.newSeeds.checked = this.vary;
    } else {
      select(
        fields.pack,
        choices.packs.map((name) => [name, name.replace(/^sample:(.*)/, "$1 (sample)")]),
      );
      if (choices.packs.includes(this.chosen)) fields.pack.value = this.chosen;
      fields.engine.value = choices.engine;
      fields.url.value = choices.engine_url;
    }
    select(
      parts.names,
      choices.settings.map(({ name, title }) => [name, title]),
    );
    parts.learning.checked = choices.learning_enabled;
    parts.start.disabled = parts.learning.disabled = this.app.status.is_read_only;
    parts.runs.append(this.running.element);
    for (const text of this.given) {
      const [name, value] = text.split(/=(.*)/s);
      if (fields[name]) fields[name].value = value;
      else this.addRow(name, value);
    }
    parts.more.open = parts.rows.children.length > 0;
    this.listen();
    this.showLearning();
  }

  readTemplate() {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("new-run"));
    const content = /** @type {HTMLElement} */ (template.content.cloneNode(true));
    const find = (selector) => /** @type {any[]} */ ([...content.querySelectorAll(selector)]);
    find(this.again ? "[data-fresh]" : "[data-again]").forEach((element) => element.remove());
    if (this.again) find("[data-kept]").forEach((field) => (field.placeholder = "as it was"));
    find("[data-part]").forEach((element) => (this.parts[element.dataset.part] = element));
    find("[name]").forEach((field) => (this.fields[field.name] = field));
    [this.parts.form] = find("form");
    if (this.again) find("h1")[0].textContent = this.vary ? "Vary a run" : "Run again";
    fill(this.root, content);
    return this;
  }

  listen() {
    const { fields, parts } = this;
    const { form } = parts;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.begin();
    };
    form.onkeydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.begin();
    };
    form.oninput = ({ type, target }) => {
      const names = this.lists[target.list?.id];
      if (names)
        fill(
          target.list,
          completeList(target.value, names).map((value) => h("option", { value })),
        );
      if (type !== "input") return;
      if (target === parts.learning) return this.setLearning();
      if (target === parts.file) return this.readWorkflow();
      if (target === fields.engine || target === fields.url) this.checkSoon();
      if (fields.pack) fields.prompt.disabled = fields.negative.disabled = fields.pack.value !== "";
      this.planSoon();
    };
    form.addEventListener("focusin", form.oninput);
    parts.add.onclick = () => this.addRow();
  }

  /** A line for one more setting; its names and values are read when the request is made. */
  addRow(name = "", value = "") {
    const row = h(
      "div.setting-row",
      h("input", { "aria-label": "Setting", list: "setting-names", placeholder: "setting", value: name }),
      h("input", { "aria-label": "Values", placeholder: "values", value }),
      h(
        "button.quiet",
        {
          "aria-label": "Remove this setting",
          click: () => this.planSoon(row.remove()),
        },
        "×",
      ),
    );
    this.parts.rows.append(row);
  }

  /** Ask the chosen engine what it is and has; while it does not answer, again and again. */
  async check() {
    const { engineState, urlBox, workflowBox, bound } = this.parts;
    const engine = this.fields.engine.value;
    const isServer = this.choices.engines.some(({ name, is_server: is }) => name === engine && is);
    urlBox.hidden = !isServer && !this.again;
    workflowBox.hidden = bound.hidden = engine !== "comfyui";
    this.planSoon();
    clearTimeout(this.checkAgain);
    if (!engine || this.app.status.is_read_only) return;
    const number = ++this.checks;
    if (engine !== this.checked) fill(engineState, `Asking ${engine} …`);
    this.checked = engine;
    const url = (isServer && this.fields.url.value.trim()) || null;
    const { answers, summary, lists } = await postJson("/api/engines/check", { engine, url });
    if (number !== this.checks) return;
    Object.assign(this.lists, lists);
    fill(engineState, answers ? h("span.ok", "✓ ") : h("span.bad", "✗ "), summary);
    if (!answers) this.checkAgain = setTimeout(() => this.check(), CHECK_AGAIN_MILLISECONDS);
  }

  async readWorkflow() {
    const { file, bound } = this.parts;
    this.workflow = (await file.files[0]?.text()) ?? "";
    fill(bound);
    try {
      const { rows } = await postJson("/api/workflows", { workflow: this.workflow });
      const cells = rows.map(([title, node, value]) => h("tr", h("th", title), h("td", node), h("td", value)));
      const caption = "What is set in the workflow, and what it holds now. Fields left empty below keep it.";
      fill(bound, h("table", h("caption.hint", caption), cells));
    } catch (error) {
      this.workflow = file.value = "";
      fill(bound, h("p.bad", error.message));
    }
    this.planSoon();
  }

  showLearning() {
    const { learning, learningNote } = this.parts;
    learningNote.textContent = learning.checked
      ? `Runs are recorded in ${this.app.status.store}.`
      : "Learning Mode is off: a run is shown here while it goes on, and nothing of it is kept.";
  }

  async setLearning() {
    const { learning } = this.parts;
    const { learning_enabled: isOn } = await postJson("/api/settings", { learning_enabled: learning.checked });
    learning.checked = this.app.status.learning_enabled = isOn;
    this.showLearning();
  }

  /** The body of a request; throws where a field cannot be read. */
  buildRequest() {
    const texts = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.value]));
    if (this.parts.urlBox.hidden) texts.url = "";
    const rows = [...this.parts.rows.children].map((row) =>
      [...row.querySelectorAll("input")].map((input) => input.value),
    );
    if (this.workflow && !this.parts.bound.hidden) rows.push(["txt2img.extra.workflow", this.workflow]);
    return buildRunRequest(texts, /** @type {any} */ (rows), this.source);
  }

  get source() {
    if (this.again) return { again: this.again, new_seeds: this.parts.newSeeds.checked };
    const { pack, prompt, negative } = this.fields;
    return pack.value ? { pack: pack.value } : { prompt: prompt.value, negative: negative.value };
  }

  isEmpty() {
    return !this.again && !this.fields.pack.value && !this.fields.prompt.value.trim();
  }

  async plan() {
    const { planned, start } = this.parts;
    if (this.app.status.is_read_only)
      return fill(planned, "This page was started with --read-only; runs cannot be started here.");
    start.disabled = true;
    if (this.isEmpty())
      return fill(planned, h("p.hint", "Type a prompt to see how many images it makes and how long that takes."));
    try {
      this.showPlan(await postJson("/api/plans", this.buildRequest()));
    } catch (error) {
      fill(planned, h("p.bad", error.message));
    }
  }

  showPlan(plan) {
    this.parts.start.disabled = plan.size === 0;
    const seconds = plan.seconds_per_variant;
    fill(
      this.parts.planned,
      h(
        "p",
        h("strong", plan.images ? plural(plan.images, "image") : "Images"),
        ` from ${plural(plan.size, "variant")}`,
        plan.combinations && plan.combinations !== plan.size ? ` of ${formatCount(plan.combinations)} possible` : "",
        `, through ${plan.stages.join(" → ")}`,
        seconds === null ? "; how long it takes is not known yet" : `, about ${formatDuration(seconds * plan.size)}`,
        plan.shares_seeds ? ". Each prompt has one random seed for all its variants" : "",
        ".",
      ),
      plan.warnings.map((warning) => h("p.finding-warning", warning)),
      h(
        "ol",
        plan.variants.map((variant) =>
          h("li", variant.label ? h("strong", `${describeLabel(variant.label)}: `) : null, variant.prompt),
        ),
      ),
      plan.size > plan.variants.length
        ? h("p.hint", `and ${formatCount(plan.size - plan.variants.length)} more`)
        : null,
    );
  }

  async begin() {
    this.planSoon.cancel();
    if (this.parts.start.disabled) return;
    this.parts.start.disabled = true;
    try {
      this.running.showJob(await postJson("/api/running", this.buildRequest()));
    } catch (error) {
      showError(error);
    } finally {
      this.parts.start.disabled = false;
    }
  }
}
