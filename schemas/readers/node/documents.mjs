// Bytes to values: strict JSON, lines, hashes and schemas.
import { createHash } from "node:crypto";
import fs from "node:fs";
import Ajv from "ajv/dist/2020.js";
import { createXXHash128 } from "hash-wasm";

const SCHEMAS = ["../../v1/", "./v1/"]
  .map((place) => new URL(place, import.meta.url))
  .find((place) => fs.existsSync(place));
const hasher = await createXXHash128();
export const xxh128 = (data) => "xxh128:" + hasher.init().update(data).digest("hex");
export const sha256 = (data) => createHash("sha256").update(data).digest("hex");
/** The order of texts by code points, which is that of their UTF-8 bytes and not that of JavaScript. */
export const byText = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

const validators = new Map();
/** Whether a value fits the schema of that name. */
export function fits(name, value) {
  if (!validators.has(name)) {
    const schema = JSON.parse(fs.readFileSync(new URL(`${name}.schema.json`, SCHEMAS), "utf8"));
    validators.set(name, new Ajv({ strict: false, validateFormats: false }).compile(schema));
  }
  return validators.get(name)(value);
}

/** The value of I-JSON bytes; throws where JSON.parse would not see what is wrong. */
export function parseIJson(data) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  const value = JSON.parse(text);
  const open = []; // of each object the keys so far, of each array null
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[[\]{}]|-?[0-9][0-9.eE+-]*/gs)) {
    if (token === "{" || token === "[") {
      if (open.push(token === "{" ? new Set() : null) > 64) throw new Error("nested too deep");
    } else if (token === "}" || token === "]") open.pop();
    else if (token.startsWith('"')) {
      const word = JSON.parse(token.replace(/\s*:$/, ""));
      if (!word.isWellFormed()) throw new Error("half of a surrogate pair");
      if (!token.endsWith(":")) continue;
      if (open.at(-1).has(word)) throw new Error(`${word} stands twice`);
      open.at(-1).add(word);
    } else if (!Number.isFinite(Number(token))) throw new Error("too large a number");
    else if (/^-?[0-9]+$/.test(token) && !Number.isSafeInteger(Number(token))) throw new Error("too large an integer");
  }
  return value;
}

/** RFC 8785. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(",")}}`;
}

const isLater = ({ schema_version: version }) =>
  typeof version === "string" && /^[0-9]{1,8}\../.test(version) && parseInt(version, 10) > 1;

/** A document: its value, or the code of what is wrong with it. */
export function readDocument(data, schema, unreadable) {
  let value;
  try {
    value = parseIJson(data);
  } catch {
    return { code: unreadable };
  }
  if (schema !== "feedback_event" && isLater(value ?? {})) return { code: "newer-format" }; // events have no version
  return fits(schema, value) ? { value } : { code: unreadable };
}

/** The lines of a file: number, bytes, and whether it is whole. */
export function* linesOf(data) {
  let start = 0;
  for (let number = 1; start < data.length; number += 1) {
    const end = data.indexOf(10, start);
    const line = data.subarray(start, end < 0 ? data.length : end);
    if (end < 0 || line.some((byte) => !(byte === 32 || (byte >= 9 && byte <= 13)))) yield [number, line, end >= 0];
    start = end < 0 ? data.length : end + 1;
  }
}
