// One job in the list: its element, made once and filled again and again.

import { runUrl, thumbnailUrl } from "../data/api.js";
import { formatSetting, settingTitle } from "../data/images/image_facts.js";
import { fill, h, setText } from "./dom.js";
import { formatCount, formatDuration, formatLongTime, formatSeed, formatTime, plural } from "../data/format.js";
import { outbox } from "../data/feedback_outbox.js";
import { buildStars } from "./stars.js";

const SHOWN_THUMBNAILS = 3;
export const STATUS_WORDS = {
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  running: "Running",
  partial: "Partly failed",
  interrupted: "Interrupted",
  incomplete: "Incomplete",
};

/**
 * The element of a row. `onRate` is called when its stars are clicked.
 * @param {(rating: number | null) => void} onRate
 */
export function createRow(onRate, isReadOnly) {
  const parts = {
    thumbs: Array.from({ length: SHOWN_THUMBNAILS }, () =>
      h("img", { alt: "", decoding: "async", width: 64, height: 64 }),
    ),
    link: h("a.time", { "data-link": true }),
    pack: h("span.pack"),
    prompt: h("span.prompt"),
    settings: h("span.settings"),
    variants: h("span.variants"),
    outputs: h("span.outputs"),
    duration: h("span.duration"),
    seed: h("span.seed"),
    status: h("span.status"),
    note: h("span.note"),
  };
  const node = h(
    "div.row",
    { role: "listitem" },
    h("div.thumbs", { "aria-hidden": "true" }, parts.thumbs),
    h("div.what", h("div.line", parts.link, parts.pack), parts.prompt, parts.settings),
    h("div.facts", parts.variants, parts.outputs, parts.duration, parts.seed),
    parts.status,
  );
  parts.stars = buildStars("Rating", onRate, { isReadOnly });
  node.append(h("div.opinion", parts.stars, parts.note));
  node.parts = parts;
  return node;
}

/** Fill a row with a job; undefined is one that is not known yet. */
export function showJob(node, job) {
  node.classList.toggle("loading", !job);
  node.classList.toggle("gone", Boolean(job?.isGone));
  const { parts } = node;
  if (!job || job.isGone) return showNothing(parts, job);
  parts.link.href = runUrl(job.run_id);
  parts.link.title = `${formatLongTime(job.created_at)}\n${job.run_id}`;
  setText(parts.link, formatTime(job.created_at));
  setText(parts.pack, job.packs.join(", ") || job.one_click_action || job.engine || "");
  setText(parts.prompt, job.problem ? `⚠ ${job.problem}` : (job.prompt ?? ""));
  fill(parts.settings, describeSettings(job.settings ?? {}));
  const planned = job.plan_size ?? job.record_count;
  setText(parts.variants, `${job.record_count}/${planned} ${planned === 1 ? "variant" : "variants"}`);
  setText(parts.outputs, plural(job.output_count, "image"));
  setText(parts.duration, formatDuration(job.duration_seconds));
  setText(parts.seed, formatSeed(job) ? `seed ${formatSeed(job)}` : "");
  setText(parts.status, STATUS_WORDS[job.status] ?? job.status);
  parts.status.dataset.status = job.status;
  parts.thumbs.forEach((image, place) => showThumbnail(image, job, place));
  const opinion = outbox.overlay(job.run_id, null, { rating: job.rating ?? undefined });
  parts.stars.show(opinion.rating, `Rating of ${formatTime(job.created_at)}`);
  setText(parts.note, describeImages(job));
}

/** The settings of a job; what varies stands out, with its values. */
function describeSettings(settings) {
  return Object.entries(settings)
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([name, { values, count }]) => {
      const text = values.map(formatSetting).join(", ") + (count > values.length ? ", …" : "");
      const isPlain = name === "model" || name === "sampler";
      if (count > 1) return h("strong", `${settingTitle(name)} ${text}`);
      return h("span", isPlain ? text : `${settingTitle(name)} ${text}`);
    });
}

function showNothing(parts, job) {
  parts.link.removeAttribute("href");
  setText(parts.link, job?.isGone ? "removed" : "");
  for (const name of ["pack", "prompt", "settings", "variants", "outputs", "duration", "seed", "status", "note"])
    setText(parts[name], "");
  delete parts.status.dataset.status;
  parts.thumbs.forEach((image) => hideThumbnail(image));
  parts.stars.show(null);
}

function showThumbnail(image, job, place) {
  const output = (job.fitting?.length ? job.fitting : job.outputs)[place];
  if (!output) return hideThumbnail(image);
  const source = thumbnailUrl(job.run_id, output.digest, 320);
  image.hidden = false;
  if (image.getAttribute("src") !== source) image.src = source;
}

function hideThumbnail(image) {
  image.hidden = true;
  image.removeAttribute("src");
}

function describeImages(job) {
  const parts = [];
  if (job.rated_count) {
    const best = job.best_rating === null ? "" : `, best ${job.best_rating}★`;
    parts.push(`${formatCount(job.rated_count)}/${formatCount(job.output_count)} rated${best}`);
  }
  if (job.pick_count) parts.push(plural(job.pick_count, "pick"));
  if (job.reject_count) parts.push(plural(job.reject_count, "reject"));
  return parts.join(" · ");
}
