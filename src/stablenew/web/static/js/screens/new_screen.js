// A new run: what to make it from, how many variants that gives, and how far it is.

import { getJson, postJson, runUrl } from "../data/api.js";
import { debounce, fill, h } from "../parts/dom.js";
import { toast } from "../parts/dialogs.js";
import { formatCount, formatDuration, plural } from "../data/format.js";
import { buildRunRequest } from "../data/run_request.js";
import { RunningJobs } from "../parts/running_jobs.js";

const PLAN_MILLISECONDS = 250;
const SAMPLERS = ["Euler a", "Euler", "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DDIM", "UniPC", "Heun", "LMS"];
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
    this.keys = KEYS;
    /** @type {Record<string, HTMLInputElement>} */
    this.fields = {};
    this.planSoon = debounce(() => this.plan(), PLAN_MILLISECONDS);
    this.running = new RunningJobs({ isReadOnly: app.status.is_read_only });
  }

  close() {
    this.planSoon.cancel();
    this.running.close();
  }

  async load() {
    this.choices = await getJson("/api/choices");
    this.build();
    await this.running.load();
    await this.plan();
  }

  build() {
    const { choices } = this;
    const isReadOnly = this.app.status.is_read_only;
    const asBefore = this.again ? "as it was" : "as the pack says";
    const change = { input: () => this.planSoon() };
    const field = (name, label, properties = {}) => {
      const input = h("input", { id: `f-${name}`, type: "text", autocomplete: "off", on: change, ...properties });
      this.fields[name] = input;
      return h("label", { for: `f-${name}` }, label, input);
    };
    this.pack = h(
      "select",
      {
        id: "f-pack",
        on: {
          input: () => {
            this.showSource();
            this.planSoon();
          },
        },
      },
      h("option", { value: "" }, "A prompt typed here"),
      choices.packs.map((name) =>
        h("option", { value: name }, name.startsWith("sample:") ? `${name.slice(7)} (sample)` : name),
      ),
    );
    this.pack.value = choices.packs[0] ?? "";
    this.prompt = h("textarea", {
      id: "f-prompt",
      rows: 4,
      on: change,
      placeholder: "a quiet harbour at dawn, [[time]]\nneg: blurry",
    });
    this.engine = h(
      "select",
      { id: "f-engine", on: change },
      this.again ? h("option", { value: "" }, "that of the run") : null,
      choices.engines.map((name) => h("option", { value: name }, name)),
    );
    this.engine.value = this.again ? "" : choices.engine;
    this.mode = h(
      "select",
      { id: "f-mode", on: change },
      [
        ["", "as the pack says"],
        ["fanout", "every combination"],
        ["sequential", "one after the other"],
        ["random", "at random"],
      ].map(([value, text]) => h("option", { value }, text)),
    );
    this.more = h("textarea", {
      id: "f-more",
      rows: 3,
      on: change,
      placeholder: "upscale.factor=2\nimg2img.denoising_strength=0.3",
      value: this.given.join("\n"),
    });
    this.sweeps = h("textarea", { id: "f-sweeps", rows: 3, on: change, placeholder: "txt2img.cfg_scale=5,7,9" });
    this.randomize = h("textarea", {
      id: "f-randomize",
      rows: 3,
      on: change,
      placeholder: "time: dawn | noon\n__mood__: calm | stormy",
    });
    this.newSeeds = h("input", { type: "checkbox", id: "f-seeds", on: change });
    this.newSeeds.checked = this.vary;
    this.learning = h("input", {
      type: "checkbox",
      role: "switch",
      id: "f-learning",
      on: { change: () => this.setLearning() },
    });
    this.learning.checked = choices.learning_enabled;
    this.learning.disabled = isReadOnly;
    this.learningNote = h("p", { class: "hint" });
    this.planned = h("div", { class: "panel", role: "status", "aria-label": "Plan" });
    this.start = h("button", { type: "submit", class: "primary", disabled: isReadOnly }, "Start");
    this.packBox = h("label", { for: "f-pack" }, "Prompt pack", this.pack);
    this.promptBox = h(
      "label",
      { class: "wide", for: "f-prompt" },
      "Prompt (several: a blank line between them; neg: begins a negative line)",
      this.prompt,
    );
    const form = h(
      "form",
      {
        class: "panel",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.begin();
          },
          keydown: (event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.begin();
          },
        },
      },
      h(
        "div",
        { class: "form" },
        this.again
          ? h(
              "p",
              { class: "wide" },
              this.vary ? "Vary the variants of " : "Run again, with the same seeds, the variants of ",
              h("a", { "data-link": true, href: runUrl(this.again) }, this.again),
              " ",
              h("label", { class: "switch", for: "f-seeds" }, this.newSeeds, "other seeds"),
              h("a", { "data-link": true, href: "/new" }, "Something else instead"),
            )
          : [this.packBox, this.promptBox],
        h("label", { for: "f-engine" }, "Engine", this.engine),
        field("url", "Address of its server", {
          placeholder: this.again ? "that of the run" : choices.engine_url || "only for engines that are a server",
          value: this.again ? "" : choices.engine_url,
        }),
        field("steps", "Steps", { inputmode: "numeric", placeholder: asBefore }),
        field("cfg", "CFG scale", { inputmode: "decimal", placeholder: asBefore }),
        field("sampler", "Sampler", { list: "samplers", placeholder: asBefore }),
        h(
          "datalist",
          { id: "samplers" },
          SAMPLERS.map((name) => h("option", { value: name })),
        ),
        field("size", "Size", { placeholder: "512x512" }),
        field("seed", "Seed", { inputmode: "numeric", placeholder: this.again ? "as above" : "chosen by the engine" }),
        this.again ? null : h("label", { for: "f-mode" }, "Combinations", this.mode),
        field("limit", "Maximum number of variants", { inputmode: "numeric" }),
        field("tags", "Tags for the records", { placeholder: "experiment:cfg" }),
      ),
      h(
        "details",
        {},
        h("summary", {}, "More: other settings, sweeps, what varies in the prompt"),
        h(
          "div",
          { class: "form" },
          h("label", { for: "f-more" }, "Settings, one a line", this.more),
          h("label", { for: "f-sweeps" }, "Sweeps, one a line", this.sweeps),
          h("label", { for: "f-randomize" }, "What varies in the prompt, one a line", this.randomize),
        ),
      ),
      h(
        "div",
        { class: "actions" },
        h("label", { class: "switch", for: "f-learning" }, this.learning, "Learning Mode: record runs"),
        this.start,
      ),
      this.learningNote,
    );
    fill(
      this.root,
      h(
        "div",
        { class: "page" },
        h("h1", {}, this.again ? (this.vary ? "Vary a run" : "Run again") : "New run"),
        form,
        this.planned,
        h("h2", {}, "Runs"),
        h("section", { class: "panel", "aria-label": "Runs" }, this.running.element),
      ),
    );
    this.showSource();
    this.showLearning();
  }

  showSource() {
    this.promptBox.hidden = this.pack.value !== "";
  }

  showLearning() {
    this.learningNote.textContent = this.learning.checked
      ? `Runs are recorded in ${this.app.status.store}.`
      : "Learning Mode is off: a run is shown here while it goes on, and nothing of it is kept.";
  }

  async setLearning() {
    const { learning_enabled: isOn } = await postJson("/api/settings", { learning_enabled: this.learning.checked });
    this.learning.checked = isOn;
    this.app.status.learning_enabled = isOn;
    this.showLearning();
  }

  /** The body of a request; throws where a field cannot be read. */
  buildRequest() {
    const { engine, mode, more, sweeps, randomize } = this;
    const fields = Object.entries({ ...this.fields, engine, mode, more, sweeps, randomize });
    const texts = /** @type {any} */ (Object.fromEntries(fields.map(([name, field]) => [name, field.value])));
    return buildRunRequest(texts, this.source);
  }

  get source() {
    if (this.again) return { again: this.again, new_seeds: this.newSeeds.checked };
    return this.pack.value ? { pack: this.pack.value } : { prompt: this.prompt.value };
  }

  isEmpty() {
    return !this.again && !this.pack.value && !this.prompt.value.trim();
  }

  async plan() {
    if (this.app.status.is_read_only) {
      fill(this.planned, "This page was started with --read-only; runs cannot be started here.");
      return;
    }
    if (this.isEmpty()) {
      fill(this.planned, h("p", { class: "hint" }, "Type a prompt, and here stands what comes of it."));
      this.start.disabled = true;
      return;
    }
    try {
      this.showPlan(await postJson("/api/plans", this.buildRequest()));
    } catch (error) {
      this.start.disabled = true;
      fill(this.planned, h("p", { class: "bad" }, error.message));
    }
  }

  showPlan(plan) {
    this.start.disabled = plan.size === 0;
    const seconds = plan.seconds_per_variant;
    fill(
      this.planned,
      h(
        "p",
        {},
        h("strong", {}, plural(plan.size, "variant")),
        plan.combinations && plan.combinations !== plan.size ? ` of ${formatCount(plan.combinations)} possible` : "",
        `, through ${plan.stages.join(" → ")}`,
        seconds === null ? "; how long it takes is not known yet" : `, about ${formatDuration(seconds * plan.size)}`,
      ),
      plan.warnings.map((warning) => h("p", { class: "finding-warning" }, warning)),
      h(
        "ol",
        {},
        plan.variants.map((variant) =>
          h("li", {}, variant.label ? h("strong", {}, `${variant.label}: `) : null, variant.prompt),
        ),
      ),
      plan.size > plan.variants.length
        ? h("p", { class: "hint" }, `and ${formatCount(plan.size - plan.variants.length)} more`)
        : null,
    );
  }

  async begin() {
    this.planSoon.cancel();
    if (this.start.disabled) return;
    this.start.disabled = true;
    try {
      this.running.showJob(await postJson("/api/running", this.buildRequest()));
    } catch (error) {
      toast(error.message, { isError: true });
    } finally {
      this.start.disabled = false;
    }
  }
}
