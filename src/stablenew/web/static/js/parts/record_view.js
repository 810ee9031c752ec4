// One record of a run: its images by stage, its settings, its timing.

import { thumbnailUrl } from "../data/api.js";
import { formatSetting, settingTitle } from "../data/images/image_facts.js";
import { buildSelect, buildTable, h } from "./dom.js";
import { nameSetting } from "./settings/setting_curve.js";
import { formatBytes, formatDuration } from "../data/format.js";

/** The outputs of a record that are its result; all of them when none is marked as final. */
export const finalOutputs = (record) => {
  const finals = record.outputs.filter((output) => output.role === "final");
  return finals.length ? finals : record.outputs;
};

/** The room an image will take, so that nothing moves when it is there. */
const sized = ({ width, height }) => (width && height ? { width, height } : {});

/** The outputs by stage; of two stages, one over the other with a slider between them. */
export function buildImages(runId, record) {
  if (!record.outputs.length) return h("p.hint", "This variant made no image.");
  const finals = finalOutputs(record);
  const build = (output, alt, extra = {}) =>
    h("img", { ...sized(output), ...extra, alt, src: thumbnailUrl(runId, output.digest, 1024) });
  const earlier = record.outputs.filter((output) => output.stage !== finals[0].stage);
  if (earlier.length) return buildSlider(runId, earlier, finals[0], build);
  return finals.map((output) =>
    h("div.slider", build(output, `${output.stage}: ${record.prompt.positive.slice(0, 100)}`)),
  );
}

function buildSlider(runId, earlier, last, build) {
  const latest = earlier[earlier.length - 1];
  const before = build(latest, `before: ${latest.stage}`);
  const after = build(last, `after: ${last.stage}`, { class: "after" });
  const name = h("span", latest.stage);
  const cut = () => {
    after.style.clipPath = `inset(0 0 0 ${range.value}%)`;
  };
  const range = h("input", { type: "range", min: 0, max: 100, "aria-label": "Before and after", input: cut });
  range.value = "50";
  cut();
  const choose = (place) => {
    before.src = thumbnailUrl(runId, earlier[place].digest, 1024);
    name.textContent = earlier[place].stage;
  };
  const choice = buildSelect(
    earlier.map(({ stage }, place) => [place, stage]),
    earlier.length - 1,
    choose,
    { "aria-label": "Stage before" },
  );
  return [
    h("div.slider", before, after),
    range,
    h("div.slider-names", h("span", name, " ", earlier.length > 1 ? choice : null), h("span", last.stage)),
  ];
}

/** What a variant varies, as people call it: `[time]=dawn; txt2img.cfg_scale=4` is "time dawn; CFG scale 4". */
export const describeLabel = (label) =>
  label.replace(/\[([^\]]+)\]=/g, "$1 ").replace(/\b([a-z0-9]+\.[a-z_]+)=/g, (_, name) => `${nameSetting(name)} `);

/** The button of a record in the strip of all records. */
export function buildStripItem(runId, { variant, status, ...record }, onChoose) {
  const output = finalOutputs(record)[0];
  const name = [`Variant ${variant.index}`, describeLabel(variant.label ?? ""), status].filter(Boolean).join(", ");
  return h(
    "button",
    { "aria-label": name, title: name, "aria-pressed": "false", click: onChoose },
    output ? h("img", { alt: "", loading: "lazy", src: thumbnailUrl(runId, output.digest, 320) }) : status,
  );
}

/** What stands beside the images of a record: its place, prompts, settings and timing. */
export function buildWords(record) {
  const { variant, prompt, error } = record;
  return h(
    "div",
    h("p", h("strong", `Variant ${variant.index}`), variant.label ? `: ${describeLabel(variant.label)}` : ""),
    error ? h("p.bad", error.message) : null,
    h("p", prompt.positive),
    prompt.negative ? h("p.soft", `Negative: ${prompt.negative}`) : null,
    buildSettings(record),
    buildTiming(record),
  );
}

/** The size of an output in pixels and bytes, and its seed. */
export function describeOutput({ width, height, size_bytes: size, seed }) {
  const parts = [width ? `${width} × ${height}` : null, formatBytes(size), seed !== undefined ? `seed ${seed}` : null];
  return parts.filter(Boolean).join(" · ");
}

/**
 * The settings of a record as they were requested and as the engine applied them: [name, requested, actual, differs].
 * A seed that was left to the engine never differs. A setting that neither has is left out.
 * @returns {[string, string, string, boolean][]}
 */
export function compareSettings({ requested, actual }) {
  const applied = actual ?? {};
  const names = [...new Set([...Object.keys(requested), ...Object.keys(applied)])];
  return names
    .map((name) => {
      const [wish, result] = [formatSetting(requested[name]), formatSetting(applied[name])];
      const isLeftOpen = name === "seed" && requested[name] === -1;
      return /** @type {[string, string, string, boolean]} */ ([
        name,
        wish,
        result,
        Boolean(wish && result) && wish !== result && !isLeftOpen,
      ]);
    })
    .filter(([, wish, result]) => wish || result);
}

function buildSettings(record) {
  const lines = compareSettings(record);
  const isAsked = lines.some(([, wish]) => wish); // of images that were imported nobody knows what was asked
  const rows = lines.map(([name, wish, result]) => [settingTitle(name), ...(isAsked ? [wish] : []), result]);
  const table = buildTable(["Setting", ...(isAsked ? ["Requested"] : []), "Used"], rows);
  lines.forEach(([, , , differs], place) => table.tBodies[0].rows[place].classList.toggle("differs", differs));
  table.prepend(h("caption.sr-only", "Settings"));
  return table;
}

function buildTiming(record) {
  const total = record.stages.reduce((sum, stage) => sum + stage.duration_seconds, 0);
  if (!total) return null;
  const words = record.stages.map((stage) => `${stage.name} ${formatDuration(stage.duration_seconds)}`).join(", ");
  return [
    h(
      "div.timing",
      { role: "img", "aria-label": `Time by stage: ${words}` },
      record.stages.map((stage) =>
        h(
          "span",
          {
            "data-stage": stage.name,
            title: `${stage.name} ${formatDuration(stage.duration_seconds)} ${stage.status}`,
            style: { width: `${(100 * stage.duration_seconds) / total}%` },
          },
          stage.duration_seconds / total > 0.15 ? stage.name : "",
        ),
      ),
    ),
    h("p.soft", words),
  ];
}
