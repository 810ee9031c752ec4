// What is known of the image in the loupe: prompt, settings, opinions, where it comes from; and texts to copy.

import { getJson, outputUrl, runUrl } from "../../data/api.js";
import { formatBytes, formatLongTime, formatTime, plural } from "../../data/format.js";
import {
  buildInfotext,
  differingSettings,
  fileName,
  formatSetting,
  listSettings,
  markDifferences,
} from "../../data/images/image_facts.js";
import { showError, toast } from "../dialogs.js";
import { buildDefinitions, fill, h, link } from "../dom.js";
import { ALBUM_PREFIX, albumsOf, buildDots, shownTags } from "../image_words.js";
import { quoteValue } from "../../data/query_text.js";
import { buildAgainCommand, describeEvent, timeOf } from "../run_details.js";
import { buildStars } from "../stars.js";
import { icon } from "./icons.js";

const DETAILS_MILLISECONDS = 150;
const MAX_EVENTS = 30;

export class InfoPanel {
  /** @param {{isReadOnly: boolean, onRate: (rating: number | null) => void, onClose: () => void, rater: string,
   *   hasJobs: boolean}} options */
  constructor({ isReadOnly, onRate, onClose, rater, hasJobs }) {
    this.rater = rater;
    this.hasJobs = hasJobs;
    this.row = null;
    this.details = null;
    this.timer = 0;
    this.stars = buildStars("Your rating", onRate, { isReadOnly, inTabOrder: true });
    this.body = h("div.info-body");
    const close = h("button.tool", { "aria-label": "Hide (I)", title: "Hide (I)", click: onClose }, icon("close"));
    this.element = h(
      "aside.info",
      { "aria-label": "About this image", hidden: true },
      h("div.info-head", this.stars, close),
      this.body,
    );
  }

  close() {
    clearTimeout(this.timer);
  }

  /** Show an image; `neighbours` are those before and after it, the one before first. */
  show(row, neighbours) {
    if (this.row?.id !== row.id) this.details = null;
    this.row = row;
    this.neighbours = neighbours;
    if (this.element.hidden) return;
    this.stars.show(row.opinion.rating ?? null, "Your rating");
    this.render();
    clearTimeout(this.timer);
    if (!row.isGone) this.timer = setTimeout(() => this.load(row), this.details ? 400 : DETAILS_MILLISECONDS);
  }

  /** The rest of what is known; not needed to look at an image, so it comes when one stays at it. */
  async load(row) {
    const details = await getJson("/api/images/details", { id: row.id }).catch(() => null);
    if (!details || this.row?.id !== row.id) return;
    this.details = details;
    if (!this.element.hidden) this.render();
  }

  render() {
    const { row } = this;
    if (row.isGone) {
      fill(this.body, h("p.soft", "This image was removed."));
      return;
    }
    fill(
      this.body,
      this.buildPrompts(),
      section("Settings", this.buildSettings()),
      section("Metrics", buildMetrics(row)),
      section("Tags and note", buildTags(row)),
      section("Albums", buildAlbums(row)),
      section("Opinions", this.buildOpinions()),
      section("Origin", this.buildOrigin()),
      section("File", this.buildFile()),
      this.buildActions(),
    );
  }

  buildPrompts() {
    const { row, neighbours } = this;
    const before = neighbours[0] && !neighbours[0].isGone ? neighbours[0] : null;
    const show = (name) =>
      row[name]
        ? h(
            "p.prompt-text",
            markDifferences(row[name], before ? (before[name] ?? "") : null).map(({ text, isNew }) =>
              isNew ? h("mark", { title: "differs from the image before" }, text) : text,
            ),
          )
        : null;
    return [section("Prompt", show("prompt")), section("Negative prompt", show("negative"))];
  }

  buildSettings() {
    const differing = differingSettings(this.row, this.neighbours);
    const { requested = {}, actual } = this.details?.record ?? {};
    const lines = listSettings(this.row, actual ?? requested).map(([name, title, value]) => {
      const wish = name in requested && name !== "seed" ? formatSetting(requested[name]) : value;
      const isOther = Boolean(wish) && wish !== value && this.row.settings[name] !== undefined;
      return [
        title,
        [
          differing.has(name) ? h("strong", { title: "differs from the images beside it" }, value) : value,
          isOther ? h("span.soft", ` (${wish} was asked for)`) : null,
        ],
      ];
    });
    return pairs(lines);
  }

  buildOpinions() {
    const events = this.details?.events;
    if (!events) return this.buildKnownOpinions();
    const retracted = new Set(events.flatMap((event) => event.event_ids ?? []));
    const shown = events.filter((event) => event.op !== "retract" && !retracted.has(event.id)).reverse();
    return pairs(
      shown
        .slice(0, MAX_EVENTS)
        .map((event) => [
          formatTime(timeOf(event)),
          `${describeEvent(event)} · ${event.rater === this.rater ? "you" : event.rater}`,
        ]),
    );
  }

  buildKnownOpinions() {
    const others = Object.entries(this.row.others ?? {});
    return pairs(
      others
        .filter(([, opinion]) => typeof opinion.rating === "number")
        .map(([who, opinion]) => [who, "★".repeat(opinion.rating) || "0"]),
    );
  }

  buildOrigin() {
    const { row, details } = this;
    const stages = [...new Set((details?.record?.outputs ?? []).map((output) => output.stage))];
    const parent = details?.correlation?.parent_run_id;
    return pairs([
      ["Made", formatLongTime(row.created_at)],
      ["Job", this.hasJobs ? link(runUrl(row.run_id), row.run_id) : row.run_id],
      ["Name", `${row.name} of this job`],
      ["Stages", stages.length > 1 ? stages.join(" → ") : (row.stage ?? "")],
      ["Repeats", parent ? link(runUrl(parent), parent) : null],
      ["Engine", [details?.source?.engine, details?.source?.engine_version].filter(Boolean).join(" ")],
      ["Also in", row.places.length > 1 ? plural(row.places.length - 1, "more place") : null],
      ["Copies", buildCopies(row)],
    ]);
  }

  buildFile() {
    const { row, details } = this;
    const output = details?.record?.outputs?.find(({ digest }) => digest === row.digest);
    const original = h(
      "a",
      { href: outputUrl(row.run_id, row.digest), target: "_blank", rel: "noreferrer" },
      "Original",
    );
    return pairs([
      [
        "Type",
        [row.media_type?.replace("image/", "").toUpperCase(), output && formatBytes(output.size_bytes)]
          .filter(Boolean)
          .join(", "),
      ],
      ["Path", row.path],
      ["Digest", buildCopied(row.digest, row.digest.slice(0, 19))],
      ["SHA-256", output?.sha256 ? buildCopied(output.sha256, output.sha256.slice(0, 16)) : null],
      ["Open", original],
    ]);
  }

  buildActions() {
    const { row } = this;
    const more = this.details?.record?.actual ?? {};
    const command = buildAgainCommand({ run_id: row.run_id, metadata: { source: this.details?.source } });
    return h(
      "div.info-actions",
      button("Copy prompt", () => copyText(row.prompt ?? "", "Prompt")),
      button("Infotext", () => copyText(buildInfotext(row, more), "Infotext")),
      button("Command", () => copyText(command, "Command")),
      button("Image", () => copyImage(row)),
      button("ComfyUI workflow", () => copyWorkflow(row)),
      h("a.button", { href: outputUrl(row.run_id, row.digest), download: fileName(row) }, "Save as…"),
    );
  }
}

const section = (title, content) => (content && content.length !== 0 ? h("section", h("h2", title), content) : null);

const pairs = (lines) => buildDefinitions("facts-list", lines);

function buildMetrics(row) {
  return pairs(
    Object.entries(row.metrics ?? {}).map(([name, value]) => [name.replaceAll("_", " "), formatSetting(value)]),
  );
}

function buildTags(row) {
  const note = row.opinion.notes?.[0]?.text;
  const tags = shownTags(row);
  if (!tags.length && !note && !buildDots(row)) return null;
  return [
    h(
      "p.tags",
      buildDots(row),
      tags.map((tag) => h("span.tag", tag)),
    ),
    note ? h("p", note) : null,
  ];
}

const buildAlbums = (row) =>
  albumsOf(row).map((album) =>
    h("p", link(`/?q=${encodeURIComponent(ALBUM_PREFIX + quoteValue(album))}&sort=album`, album)),
  );

const button = (name, onClick) => h("button", { click: onClick }, name);

/** The other files of the same picture, to be opened; null where there are none. */
function buildCopies(row) {
  const others = new Map(row.places.map((place) => [place.digest ?? row.digest, place]));
  others.delete(row.digest);
  if (!others.size) return null;
  return [...others].map(([digest, place], at) => [
    at ? ", " : "",
    h("a", { href: outputUrl(place.run_id, digest), target: "_blank", rel: "noreferrer" }, digest.slice(7, 15)),
  ]);
}

/** The beginning of a long text; a click copies all of it. */
const buildCopied = (text, shown) =>
  h("button.copied", { title: `Copy ${text}`, click: () => copyText(text, "Digest") }, h("code", `${shown}…`));

/** What ComfyUI opens when it is pasted there. */
async function copyWorkflow(row) {
  try {
    const { workflow } = await getJson("/api/images/workflow", { id: row.id });
    await copyText(JSON.stringify(workflow), "Paste it into ComfyUI: workflow");
  } catch (error) {
    showError(error);
  }
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast("The browser does not allow copying here", { isError: true });
  }
}

/** The image itself to the clipboard, as PNG: the one type that every program takes. */
async function copyImage(row) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": asPng(outputUrl(row.run_id, row.digest)) })]);
    toast("Image copied");
  } catch {
    toast("The browser does not allow copying images here", { isError: true });
  }
}

async function asPng(address) {
  const blob = await (await fetch(address)).blob();
  if (blob.type === "image/png") return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}
