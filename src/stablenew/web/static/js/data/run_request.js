// What the form of New run asks the server for: plain texts in, the body of a request out.

/** The lines of a text that hold something. */
const splitLines = (text) => splitBy(text, "\n");

const splitBy = (text, separator) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean);

/**
 * The body of a request for a plan or a run.
 * @param {{url: string, steps: string, cfg: string, sampler: string, size: string, seed: string, limit: string, tags: string, engine: string, mode: string, more: string, sweeps: string, randomize: string}} texts of the form's fields
 * @param {{again: string, new_seeds: boolean} | {pack: string} | {prompt: string}} source
 * @throws {Error} a size or number that cannot be read
 */
export function buildRunRequest(texts, source) {
  return {
    ...source,
    engine: texts.engine || null,
    url: texts.url.trim() || null,
    settings: [...splitLines(texts.more), ...buildSettings(texts)],
    sweeps: splitLines(texts.sweeps),
    randomize: splitLines(texts.randomize),
    mode: texts.mode || null,
    limit: readWhole(texts.limit, "limit"),
    seed: readWhole(texts.seed, "seed"),
    tags: splitBy(texts.tags, ","),
  };
}

/** The fields of the form that are settings, as `stage.setting=value`. */
function buildSettings({ steps, cfg, sampler, size }) {
  const fields = Object.entries({ steps, cfg_scale: cfg, sampler, ...readSize(size) });
  return fields.filter(([, text]) => text.trim()).map(([name, text]) => `txt2img.${name}=${text.trim()}`);
}

function readSize(text) {
  if (!text.trim()) return {};
  const size = /^\s*(\d+)\s*[x×]\s*(\d+)\s*$/.exec(text);
  if (!size) throw new Error("expected a size such as 512x768");
  return { width: size[1], height: size[2] };
}

function readWhole(text, name) {
  if (!text.trim()) return null;
  if (!/^\d+$/.test(text.trim())) throw new Error(`expected a whole number as ${name}`);
  return Number(text);
}
