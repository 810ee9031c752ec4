// What is known of an image, in the words people use: names of settings, what differs, texts to copy.

const TITLES = {
  model: "Checkpoint",
  vae: "VAE",
  cfg_scale: "CFG scale",
  cfg: "CFG scale", // as a query names it
  denoise: "Denoising strength",
  loras: "LoRA",
  n_iter: "Batch count",
  enable_hr: "Hires fix",
  hr_scale: "Hires upscale",
  hr_second_pass_steps: "Hires steps",
  subseed: "Variation seed",
  subseed_strength: "Variation strength",
  refiner_checkpoint: "Refiner",
};
const SIZE = ["width", "height"];
/** The order in which settings stand; others follow by name. */
const ORDER = (
  "model model_hash vae sampler scheduler steps cfg_scale seed width height denoising_strength clip_skip eta loras " +
  "hr_scale hr_upscaler hr_second_pass_steps subseed subseed_strength restore_faces tiling refiner_switch_at " +
  "refiner_checkpoint"
).split(" ");

/** What people call a setting: `CFG scale` for `cfg_scale`; a name of a pipeline's own stays readable. */
export const settingTitle = (name) =>
  TITLES[name] ??
  (/^[a-z][a-z0-9_ -]*$/.test(name) ? capitalise(name.replace(/^hr_/, "hires_").replaceAll("_", " ")) : name);

const capitalise = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

export function formatSetting(value) {
  if (value === null || value === undefined) return "";
  if (value === true || value === "true") return "on";
  if (value === false || value === "false") return "off";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * The settings of an image: [name, title, value]; the size in one line.
 * @returns {[string, string, string][]}
 */
export function listSettings(row, more = {}) {
  const settings = withoutIdle({ ...more, ...row.settings });
  const rank = (name) => (ORDER.indexOf(name) + 1 || ORDER.length + 1) - 1;
  const names = Object.keys(settings).filter((name) => !SIZE.includes(name));
  names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const lines = names.map(
    (name) => /** @type {[string, string, string]} */ ([name, settingTitle(name), formatSetting(settings[name])]),
  );
  const size = /** @type {[string, string, string]} */ (["size", "Size", formatSize(row)]);
  const at = lines.findIndex(([name]) => name === "seed") + 1 || lines.length;
  return [...lines.slice(0, at), size, ...lines.slice(at)].filter(([, , value]) => value);
}

/** Settings without those of a part that was switched off: they had no effect. */
function withoutIdle(settings) {
  const isOff = (name) => !settings[name] || ["false", "none", "0"].includes(String(settings[name]).toLowerCase());
  const isIdle = (name) =>
    (/^(hr_|enable_hr)/.test(name) && isOff("enable_hr")) ||
    (/^(subseed|seed_resize)/.test(name) && isOff("subseed_strength")) ||
    (/^refiner_/.test(name) && isOff("refiner_checkpoint")) ||
    (/^(batch_size|n_iter|batch_count)$/.test(name) && Number(settings[name]) === 1) ||
    (/^(restore_faces|tiling)$/.test(name) && isOff(name));
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !isIdle(name)));
}

export const formatSize = ({ width, height }) => (width && height ? `${width} × ${height}` : "");

/** A setting as it is compared: a model file that each program spells in its own way has its common name. */
const comparedSetting = (row, name) => formatSetting(row.common_names?.[name] ?? row.settings[name]);

/** The names of settings in which an image differs from any of the others. @returns {Set<string>} */
export function differingSettings(row, others) {
  const known = others.filter((other) => other && !other.isGone);
  const names = new Set(known.flatMap((other) => Object.keys(other.settings)).concat(Object.keys(row.settings)));
  const differs = (name) => known.some((other) => comparedSetting(other, name) !== comparedSetting(row, name));
  const found = [...names].filter(differs);
  if (known.some((other) => formatSize(other) !== formatSize(row))) found.push("size");
  return new Set(found);
}

/**
 * A prompt in parts, each marked when it is not in `before`: compared word by word.
 * @param {string} text @param {string | null} before @returns {{text: string, isNew: boolean}[]}
 */
export function markDifferences(text, before) {
  if (before === null || before === undefined) return [{ text, isNew: false }];
  const words = text.match(/\s+|[^\s,]+|,/g) ?? [];
  const old = (before.match(/\s+|[^\s,]+|,/g) ?? []).filter((word) => word.trim());
  const isKept = longestCommon(
    words.filter((word) => word.trim()),
    old,
  );
  let place = 0;
  /** @type {{text: string, isNew: boolean}[]} */
  const parts = [];
  for (const word of words) {
    const last = parts[parts.length - 1];
    if (!word.trim()) {
      if (last) last.text += word;
      else parts.push({ text: word, isNew: false });
      continue;
    }
    const isNew = !isKept[place];
    place += 1;
    if (last && last.isNew === isNew) last.text += word;
    else parts.push({ text: word, isNew });
  }
  return splitTrailingSpace(parts);
}

/** White space between what is marked and what is not belongs to neither mark. */
function splitTrailingSpace(parts) {
  return parts.flatMap((part) => {
    const space = part.isNew ? (/\s+$/.exec(part.text)?.[0] ?? "") : "";
    const text = part.text.slice(0, part.text.length - space.length);
    return space
      ? [
          { text, isNew: true },
          { text: space, isNew: false },
        ]
      : [part];
  });
}

const MAX_COMPARED_WORDS = 600;

/** For each of `words` whether it is in the longest sequence that `words` and `others` have in common. */
function longestCommon(words, others) {
  if (words.length > MAX_COMPARED_WORDS || others.length > MAX_COMPARED_WORDS) {
    const known = new Set(others);
    return words.map((word) => known.has(word));
  }
  const width = others.length + 1;
  const lengths = new Uint16Array((words.length + 1) * width);
  for (let i = words.length - 1; i >= 0; i -= 1)
    for (let j = others.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] =
        words[i] === others[j]
          ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
  const kept = words.map(() => false);
  for (let i = 0, j = 0; i < words.length && j < others.length;) {
    if (words[i] === others[j]) {
      kept[i] = true;
      i += 1;
      j += 1;
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}

/** The infotext that other programs read: prompt, negative prompt, and settings in one line. */
export function buildInfotext(row, more = {}) {
  const names = { model: "Model", model_hash: "Model hash", denoising_strength: "Denoising strength" };
  const order = ["steps", "sampler", "scheduler", "cfg_scale", "seed", "size", "model_hash", "model", "vae"];
  const rank = (name) => (order.indexOf(name) + 1 || order.length + 1) - 1;
  const lines = listSettings(row, more).sort(([a], [b]) => rank(a) - rank(b));
  const pairs = lines.map(([name, title, value]) => {
    const text = name === "size" ? value.replaceAll(" ", "").replace("×", "x") : value;
    return `${names[name] ?? (name === "scheduler" ? "Schedule type" : title)}: ${/[,:\n]/.test(text) ? JSON.stringify(text) : text}`;
  });
  const negative = row.negative ? [`Negative prompt: ${row.negative}`] : [];
  return [row.prompt ?? "", ...negative, pairs.join(", ")].join("\n");
}

/** A name for a copy of the file: `20261128-a-quiet-harbour.png`. */
export function fileName(row) {
  const words = (row.prompt ?? "").toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const stem = [row.created_at?.slice(0, 10).replaceAll("-", ""), row.settings?.seed, words.slice(0, 6).join("-")];
  const extension = { "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif" };
  return `${stem.filter(Boolean).join("-") || "image"}.${extension[row.media_type] ?? "png"}`;
}
