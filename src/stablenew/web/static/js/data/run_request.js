// What the form of New run asks the server for: plain texts in, the body of a request out.

/** The lines of a text that hold something. */
const splitLines = (text) => splitBy(text, "\n");

const splitBy = (text, separator) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean);

/**
 * The body of a request for a plan or a run. A setting with several values, with commas between them, becomes a sweep.
 * @param {Record<string, string>} texts of the form's fields; those of settings by their dotted names
 * @param {[string, string][]} rows further settings, by dotted name
 * @param {{again: string, new_seeds: boolean} | {pack: string} | {prompt: string, negative: string}} source
 * @throws {Error} a size or number that cannot be read
 */
export function buildRunRequest(texts, rows, source) {
  const seeds = texts.seed.includes(",");
  const fields = [...rows, ...Object.entries(texts).filter(([name]) => name.includes(".")), ...readSize(texts.size)];
  if (seeds) fields.push(["txt2img.seed", texts.seed]);
  const given = fields.map(([name, text]) => [name.trim(), text.trim()]).filter(([name, text]) => name && text);
  const lines = (is) => given.filter((pair) => isSweep(pair) === is).map((pair) => pair.join("="));
  return {
    ...source,
    engine: texts.engine || null,
    url: texts.url.trim() || null,
    settings: lines(false),
    sweeps: lines(true),
    randomize: splitLines(texts.randomize),
    mode: texts.mode || null,
    limit: readWhole(texts.limit, "limit"),
    seed: seeds ? null : readWhole(texts.seed, "seed"),
    tags: splitBy(texts.tags, ","),
  };
}

/** JSON has commas too, and so have workflows. */
const isSweep = (pair) => pair[1].includes(",") && !/^[{["]/.test(pair[1]);

function readSize(text) {
  if (!text.trim()) return [];
  const size = /^\s*(\d+)\s*[x×]\s*(\d+)\s*$/.exec(text);
  if (!size) throw new Error("expected one size, such as 512x768");
  return [
    ["txt2img.width", size[1]],
    ["txt2img.height", size[2]],
  ];
}

function readWhole(text, name) {
  if (!text.trim()) return null;
  if (!/^\d+$/.test(text.trim())) throw new Error(`expected a whole number as ${name}`);
  return Number(text);
}

/** What can come next in a field that takes several values: each name after those that stand there. */
export function completeList(text, names) {
  const before = text.slice(0, text.lastIndexOf(",") + 1);
  return before ? names.map((name) => `${before} ${name}`) : names;
}
