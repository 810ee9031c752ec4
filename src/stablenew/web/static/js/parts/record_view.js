// Parts of a run's page that need nothing but the record they show.

import { thumbnailUrl } from "../data/api.js";
import { h } from "./dom.js";
import { formatDuration } from "../data/format.js";
import { starText } from "./stars.js";

export const finalOutputs = (record) => {
  const finals = record.outputs.filter((output) => output.role === "final");
  return finals.length ? finals : record.outputs;
};

/** When an event was said: the beginning of its clock. */
export const momentOf = (event) => /^[0-9-]+T[0-9:.]+Z/.exec(event.clock)?.[0] ?? null;

export function describeEvent(event) {
  switch (event.op) {
    case "rate":
      return event.rating === null
        ? "rating taken away"
        : `${starText(event.rating)}${event.aspect ? ` for ${event.aspect}` : ""}`;
    case "tag":
      return event.present ? `tag ${event.tag}` : `tag ${event.tag} taken away`;
    case "note":
      return event.text ? `“${event.text}”` : "note taken away";
    case "flag":
      return event.flag ?? "flag taken away";
    case "retract":
      return "took something back";
    case "prefer":
      return "preferred one image";
    default:
      return event.op;
  }
}

/** The room an image will take, so that nothing moves when it is there. */
const sized = ({ width, height }) => (width && height ? { width, height } : {});

/** The outputs by stage; of two stages, one over the other with a slider between them. */
export function buildImages(runId, record) {
  if (!record.outputs.length) return h("p", { class: "hint" }, "No image came out.");
  const stages = [...new Set(record.outputs.map((output) => output.stage))];
  const last = finalOutputs(record)[0];
  const large = (output) => thumbnailUrl(runId, output.digest, 1024);
  if (stages.length < 2)
    return finalOutputs(record).map((output) =>
      h(
        "div",
        { class: "slider" },
        h("img", {
          ...sized(output),
          src: large(output),
          alt: `${output.stage}: ${record.prompt.positive.slice(0, 100)}`,
        }),
      ),
    );
  const earlier = record.outputs.filter((output) => output.stage !== last.stage);
  const before = h("img", {
    ...sized(earlier.at(-1)),
    alt: `before: ${earlier.at(-1).stage}`,
    src: large(earlier.at(-1)),
  });
  const after = h("img", { ...sized(last), class: "after", alt: `after: ${last.stage}`, src: large(last) });
  const name = h("span", {}, earlier.at(-1).stage);
  const range = h("input", {
    type: "range",
    min: 0,
    max: 100,
    "aria-label": "Before and after",
    on: { input: () => cut() },
  });
  const cut = () => {
    after.style.clipPath = `inset(0 0 0 ${range.value}%)`;
  };
  range.value = "50";
  cut();
  const choice =
    earlier.length > 1
      ? h(
          "select",
          {
            "aria-label": "Stage before",
            on: {
              change: (event) => {
                const output = earlier[event.target.selectedIndex];
                before.src = large(output);
                name.textContent = output.stage;
              },
            },
          },
          earlier.map((output, index) => h("option", { selected: index === earlier.length - 1 }, output.stage)),
        )
      : null;
  return [
    h("div", { class: "slider" }, before, after),
    range,
    h("div", { class: "slider-names" }, h("span", {}, name, " ", choice), h("span", {}, last.stage)),
  ];
}

export function buildSettings(record) {
  const asked = record.requested;
  const ran = record.actual ?? {};
  const names = [...new Set([...Object.keys(asked), ...Object.keys(ran)])].filter(
    (name) => asked[name] !== null || ran[name] !== undefined,
  );
  const text = (value) =>
    value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  const rows = names
    .filter((name) => text(asked[name]) || text(ran[name]))
    .map((name) => {
      const isLeftOpen = name === "seed" && asked[name] === -1;
      const differs =
        !isLeftOpen && text(ran[name]) !== "" && text(asked[name]) !== "" && text(asked[name]) !== text(ran[name]);
      return h(
        "tr",
        { class: differs ? "differs" : "" },
        h("td", {}, name),
        h("td", {}, text(asked[name])),
        h("td", {}, text(ran[name])),
      );
    });
  return h(
    "table",
    {},
    h("caption", { class: "sr-only" }, "Settings"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "setting"),
        h("th", { scope: "col" }, "asked"),
        h("th", { scope: "col" }, "ran"),
      ),
    ),
    h("tbody", {}, rows),
  );
}

export function buildTiming(record) {
  const total = record.stages.reduce((sum, stage) => sum + stage.duration_seconds, 0);
  if (!total) return null;
  const words = record.stages.map((stage) => `${stage.name} ${formatDuration(stage.duration_seconds)}`).join(", ");
  return [
    h(
      "div",
      { class: "timing", role: "img", "aria-label": `Time by stage: ${words}` },
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
    h("p", { class: "soft" }, words),
  ];
}
