// Tune: the best settings known, what each does, and the images that would teach most: made and rated here.

import { postJson } from "../data/api.js";
import { plural } from "../data/format.js";
import { showError, toast } from "../parts/dialogs.js";
import { RunningJobs } from "../parts/running_jobs.js";
import { buildMaps } from "../parts/settings/surface_map.js";
import { buildCurve, nameSetting, showSettingValue } from "../parts/settings/setting_curve.js";
import { buildRateHere } from "../parts/settings/rate_here.js";
import { LearningTask } from "../parts/settings/learning_task.js";
import { fill, h } from "../parts/dom.js";

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) =>
  new TuneScreen(root, app, {
    query: search.get("q") ?? "",
    over: search.get("over") ?? "",
    size: Number(search.get("size") ?? 4),
  });

class TuneScreen {
  constructor(root, app, asked) {
    this.root = root;
    this.app = app;
    this.asked = asked;
    /** The elements that the template names. @type {Record<string, any>} */
    this.parts = {};
    const { query, over, size } = asked;
    this.task = new LearningTask({
      kind: `tuning ${size} ${over} ${query}`,
      address: "/api/tuning",
      parameters: asked,
      waiting: "Working out what the ratings say…",
      count: (found) => plural(found.rating_count, "rating"),
      build: (found) => this.buildFound(found),
    });
    this.running = new RunningJobs({ isReadOnly: app.status.is_read_only });
  }

  close() {
    this.task.close();
    this.running.close();
  }

  async load() {
    this.build();
    await this.task.ask();
  }

  /** What does not change stands in the page as a template. */
  build() {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("tune-page"));
    fill(this.root, template.content.cloneNode(true));
    this.root.querySelectorAll("[data-part]").forEach((element) => (this.parts[element.dataset.part] = element));
    const { ask, making, keeping, again, jobs, results } = this.parts;
    const { query, over, size } = this.asked;
    ask.q.value = query;
    ask.over.value = over;
    ask.size.value = size;
    jobs.append(this.running.element);
    results.append(...this.task.elements);
    making.remove(); // until it is known what to make
    keeping.remove();
    again.onclick = () => this.task.ask();
    ask.onsubmit = (event) => {
      event.preventDefault();
      const found = /** @type {any[]} */ ([...new FormData(ask)]).filter(([, value]) => value.trim());
      this.app.go(`/tune?${new URLSearchParams(found)}`);
    };
    making.onsubmit = (event) => this.post(event, () => this.make());
    keeping.onsubmit = (event) => this.post(event, () => this.keep());
  }

  buildFound(found) {
    this.found = found;
    const { making, keeping } = this.parts;
    const isReadOnly = this.app.status.is_read_only;
    making.prompt.required = !found.prompts.length;
    return [
      buildBest(found, isReadOnly ? null : keeping),
      buildRound(found, isReadOnly ? null : making, isReadOnly),
      buildCurves(found),
      buildMaps(found.maps),
    ];
  }

  async post(event, act) {
    event.preventDefault();
    const button = event.submitter;
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      showError(error);
    } finally {
      button.disabled = false;
    }
  }

  /** The same ratings give the same proposals: what is made is what is shown. */
  async make() {
    const { made, duel, making } = this.parts;
    const job = await postJson("/api/rounds", { ...this.asked, prompt: making.prompt.value || null });
    made.hidden = false;
    duel.href = `/duel?q=run:${job.run_id}`;
    this.running.showJob(job);
    made.scrollIntoView({ block: "nearest" });
  }

  /** Keep settings and prompts as a pack, which New run then offers. */
  async keep() {
    const { best, fixed, prompts } = this.found;
    const name = this.parts.keeping.pack.value;
    const { pack, path } = await postJson("/api/packs", { name, settings: { ...fixed, ...best }, prompts });
    const onAction = () => this.app.go(`/new?pack=${encodeURIComponent(pack)}`);
    toast(`Written: ${path}`, { action: "New run", onAction });
  }
}

function buildBest({ best, left, is_done: isDone, constancy }, keeping) {
  if (!best) return null;
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
    h("p", isDone ? "Probably little is left to gain: " : "Still to gain: ", `${left.text}.`),
    constancy.map((rater) => h("p.hint", describeRater(rater))),
    h("p.actions", h("a", { "data-link": true, href: newRunWith(best) }, "New run with these settings"), keeping),
  );
}

function describeRater({ rater, repeat_count: count, noise, drift, is_drifting: isDrifting }) {
  const words = `${rater}: ${plural(count, "image")} rated again; stars differ by ${noise.toFixed(1)} by chance`;
  const way = drift > 0 ? "higher" : "lower";
  return isDrifting
    ? `${words}, and become ${Math.abs(drift).toFixed(1)} ${way} over 100 ratings, which is allowed for.`
    : `${words}.`;
}

const describeRange = ({ name, values, is_interval: isInterval }) =>
  `${nameSetting(name)} ${values.map(showSettingValue).join(isInterval ? " to " : ", ")}`;

const newRunWith = (settings) =>
  `/new?${new URLSearchParams(Object.entries(settings).map(([name, value]) => ["set", name + "=" + value]))}`;

function buildRound(found, making, isReadOnly) {
  const { settings, is_random: isRandom, rate_first: rateFirst, rate_again: rateAgain, tuned, best, command } = found;
  const kept = found.base.text;
  const names = tuned.map(({ name }) => name);
  return h(
    "section.setting",
    { "aria-label": "The next round" },
    h("h2", "The next round"),
    best
      ? null
      : h(
          "p",
          "Little is known yet: these are spread over all that may be tried. After 8 ratings the best stands here.",
        ),
    h("p.hint", `Tried: ${tuned.map(describeRange).join("; ")}.`),
    kept ? h("p.hint", `${kept[0].toUpperCase()}${kept.slice(1)}.`) : null,
    buildRateHere(
      "Not rated yet",
      `${plural(rateFirst.length, "image")} that nobody has rated would teach as much as ${rateFirst.length === 1 ? "a new one. Rate it" : "new ones. Rate them"} here:`,
      rateFirst,
      { isReadOnly },
    ),
    buildRateHere(
      "Rated long ago",
      "Rate these again, without a look at what you said: it shows how sure your stars are.",
      rateAgain,
      { isReadOnly },
    ),
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
    making,
    h("p.hint", "In a terminal: ", h("code", command)),
  );
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
