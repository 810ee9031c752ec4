// Tune: the best settings known, what each does, and the images that would teach most: made and rated here.

import { postJson } from "../data/api.js";
import { plural } from "../data/format.js";
import { toast } from "../parts/dialogs.js";
import { RunningJobs } from "../parts/running_jobs.js";
import { buildMaps } from "../parts/settings/surface_map.js";
import { buildCurve, nameSetting, showSettingValue } from "../parts/settings/setting_curve.js";
import { LearningTask } from "../parts/settings/learning_task.js";
import { fill, h } from "../parts/dom.js";

const SIZES = [4, 6, 8, 12];

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) =>
  new TuneScreen(root, app, {
    query: search.get("q") ?? "",
    over: search.get("over") ?? "",
    size: SIZES.includes(Number(search.get("size"))) ? Number(search.get("size")) : SIZES[0],
  });

class TuneScreen {
  constructor(root, app, asked) {
    this.root = root;
    this.app = app;
    this.asked = asked;
    const { query, over, size } = asked;
    this.task = new LearningTask({
      kind: `tuning ${size} ${over} ${query}`,
      address: "/api/tuning",
      parameters: asked,
      waiting: "Working out what the ratings say…",
      count: (found) => plural(found.rating_count, "rating"),
      build: (found) => [
        buildBest(found, app),
        buildRound(found, asked),
        this.buildMaking(found),
        buildCurves(found),
        buildMaps(found.maps),
      ],
    });
    this.running = new RunningJobs({ isReadOnly: app.status.is_read_only });
    this.made = h(
      "section",
      { "aria-label": "Rate these images", hidden: true },
      this.running.element,
      h(
        "p.actions",
        "Rate them, here or as ",
        (this.duel = h("a", { "data-link": true }, "a duel")),
        ", then ",
        h("button.primary", { click: () => this.task.ask() }, "Look again"),
      ),
    );
  }

  close() {
    this.task.close();
    this.running.close();
  }

  async load() {
    this.build();
    await this.task.ask();
  }

  build() {
    const { query, over, size } = this.asked;
    const field = (id, value, placeholder) =>
      h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", placeholder, value });
    const overField = field("tune-over", over, "everything you varied; or cfg=3..12,sampler=Euler|DDIM");
    const queryField = field("tune-query", query, "all; or model:dream*");
    const sizeField = h(
      "select",
      { id: "tune-size" },
      SIZES.map((count) => h("option", { value: count, selected: count === size }, String(count))),
    );
    const submit = (event) => {
      event.preventDefault();
      const found = { q: queryField.value.trim(), over: overField.value.trim(), size: sizeField.value };
      this.app.go(`/tune?${new URLSearchParams(Object.entries(found).filter(([, value]) => value))}`);
    };
    fill(
      this.root,
      h(
        "div.page",
        h("h1", "Tune"),
        h("p.soft", "Which settings are best, from all stars and duels, and which images would teach most."),
        h(
          "form.actions",
          { submit },
          h("label", { for: "tune-over" }, "Tune"),
          overField,
          h("label", { for: "tune-query" }, "over images"),
          queryField,
          h("label", { for: "tune-size" }, "a round of"),
          sizeField,
          h("button", { type: "submit" }, "Look"),
        ),
        this.made,
        this.task.elements,
      ),
    );
  }

  /** A form that makes the round: the same ratings give the same proposals, so it makes what is shown. */
  buildMaking({ prompts }) {
    if (this.app.status.is_read_only) return null;
    const prompt = h("input", {
      id: "tune-prompt",
      type: "text",
      placeholder: prompts.length ? "one of those you rated" : "a prompt to begin with",
      required: !prompts.length,
    });
    const start = h("button.primary", { type: "submit" }, "Make these images");
    const submit = async (event) => {
      event.preventDefault();
      start.disabled = true;
      try {
        const job = await postJson("/api/rounds", { ...this.asked, prompt: prompt.value || null });
        this.made.hidden = false;
        this.duel.href = `/duel?q=run:${job.run_id}`;
        this.running.showJob(job);
        this.made.scrollIntoView({ block: "nearest" });
      } catch (error) {
        toast(error.message, { isError: true });
      } finally {
        start.disabled = false;
      }
    };
    return h("form.actions", { submit }, h("label", { for: "tune-prompt" }, "Prompt"), prompt, start);
  }
}

function buildBest({ best, fixed, prompts, left, is_done: isDone }, app) {
  if (!best) return null;
  const share = Math.round(100 * left.share);
  return h(
    "section.setting",
    { "aria-label": "Best so far" },
    h("h2", "Best so far"),
    h(
      "dl.tuned",
      Object.entries(best).map(([name, value]) =>
        h("div", h("dt", nameSetting(name)), h("dd", showSettingValue(value))),
      ),
    ),
    h(
      "p",
      isDone ? "There is little left to gain: " : "Still to gain: ",
      `${left.stars.toFixed(2)} stars, ${share} % of what these settings can bring.`,
    ),
    h(
      "p.actions",
      h("a", { "data-link": true, href: newRunWith(best) }, "New run with these settings"),
      app.status.is_read_only ? null : buildKeeping({ ...fixed, ...best }, prompts, app),
    ),
  );
}

/** Keep settings and prompts as a pack, which New run then offers. */
function buildKeeping(settings, prompts, app) {
  const name = h("input", { type: "text", "aria-label": "Name of the preset", value: "tuned" });
  const keep = async () => {
    try {
      const { pack, path } = await postJson("/api/packs", { name: name.value, settings, prompts });
      const onAction = () => app.go(`/new?pack=${encodeURIComponent(pack)}`);
      toast(`Written: ${path}`, { action: "New run", onAction });
    } catch (error) {
      toast(error.message, { isError: true });
    }
  };
  return [name, h("button", { click: keep }, "Use as preset")];
}

const newRunWith = (settings) =>
  `/new?${new URLSearchParams(Object.entries(settings).map(([name, value]) => ["set", name + "=" + value]))}`;

function buildRound({ settings, is_random: isRandom, rate_first: rateFirst, tuned }, asked) {
  const names = tuned.map(({ name }) => name);
  return h(
    "section.setting",
    { "aria-label": "The next round" },
    h("h2", "The next round"),
    rateFirst.length
      ? h(
          "p",
          `${plural(rateFirst.length, "image")} that you have not rated would teach as much as new ones: `,
          rateFirst.map(({ run_id: runId }, index) => [
            index ? ", " : null,
            h("a", { "data-link": true, href: `/?q=run:${runId}+unrated:mine` }, runId),
          ]),
          ".",
        )
      : null,
    h(
      "div.sideways",
      h(
        "table",
        h(
          "thead",
          h(
            "tr",
            [...names.map(nameSetting), "Why"].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h(
          "tbody",
          settings.map((values, index) =>
            h(
              "tr",
              names.map((name) => h("td", showSettingValue(values[name]))),
              h("td.soft", isRandom[index] ? "random" : "may be the best"),
            ),
          ),
        ),
      ),
    ),
    h("p.hint", "In a terminal: ", h("code", commandOf(asked))),
  );
}

/** A word as a shell takes it. */
const quote = (text) =>
  /^[\w.,=|:*-]+$/.test(text) && !/[|*]/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function commandOf({ query, over, size }) {
  const parts = [
    "stablenew learn next",
    query && quote(query),
    over && `--over ${quote(over)}`,
    `--batch ${size}`,
    "--run",
  ];
  return parts.filter(Boolean).join(" ");
}

function buildCurves({ curves }) {
  if (!curves.length) return null;
  const most = Math.max(...curves.flatMap(({ points }) => points.flatMap(({ low, high }) => [-low, high])));
  return h(
    "section.setting",
    { "aria-label": "What each setting does" },
    h("h2", "What each setting does"),
    h(
      "p.hint",
      "Stars above or below its average, whatever the other settings are; the band holds the truth with 95 % confidence.",
    ),
    h(
      "div.curves",
      curves.map((curve) => buildCurve(curve, most)),
    ),
  );
}
