// The text of a search: its conditions, and how what is typed can go on.

/** A value as a search writes it, in quotes where it needs them. */
export const quoteValue = (text) => (/^[^\s",]+$/.test(text) ? text : `"${text.replaceAll('"', "")}"`);

/** The conditions of a search, each with its position in the text. */
export function splitQuery(text) {
  const pattern = /(?:[^\s"]|"[^"]*(?:"|$))+/g;
  return [...text.matchAll(pattern)].map((match) => ({ text: match[0], at: match.index }));
}

/** `text` with the condition on `field` for one `value` added, which takes its negation away; or removed where it was. */
export function toggleCondition(text, field, value) {
  const condition = `${field}:${quoteValue(String(value))}`;
  const parts = splitQuery(text)
    .map((part) => part.text)
    .filter((part) => part !== `-${condition}`);
  const without = parts.filter((part) => part !== condition);
  return (without.length < parts.length ? without : [...parts, condition]).join(" ");
}

/** `text` without its condition number `index`. */
export function removeCondition(text, index) {
  return splitQuery(text)
    .filter((_, other) => other !== index)
    .map((part) => part.text)
    .join(" ");
}

/** The condition that ends at the cursor: its position, and its text up to there. */
export function conditionAt(text, cursor) {
  const part = splitQuery(text.slice(0, cursor)).at(-1);
  return part && part.at + part.text.length === cursor ? part : { at: cursor, text: "" };
}

/**
 * What `condition` may become: a field, one of the values there are, or yes and no.
 * @param {string} condition
 * @param {{fields: string[], switches?: string[], values: Record<string, {value: any, count?: number, job_count?: number}[]>}} known
 * @returns {{text: string, note: string}[]}
 */
export function completeCondition(condition, { fields, switches = [], values }) {
  const sign = condition.startsWith("-") ? "-" : "";
  const bare = condition.slice(sign.length);
  const colon = bare.indexOf(":");
  if (colon < 0) {
    const matching = bare ? fields.filter((name) => name.startsWith(bare.toLowerCase())) : [];
    return matching.map((name) => ({ text: `${sign}${name}:`, note: "" }));
  }
  const field = bare.slice(0, colon);
  if (switches.includes(field)) return ["yes", "no"].map((word) => ({ text: `${sign}${field}:${word}`, note: "" }));
  const typed = bare
    .slice(colon + 1)
    .replaceAll('"', "")
    .toLowerCase();
  return (values[field] ?? [])
    .filter(({ value }) => String(value).toLowerCase().includes(typed))
    .map((item) => ({
      text: `${sign}${field}:${quoteValue(String(item.value))}`,
      note: String(item.count ?? item.job_count),
    }));
}

/**
 * The search with the condition at the cursor replaced by `completion`, and the cursor after it. A whole condition is
 * followed by a space, a field waits for its value.
 */
export function insertCompletion(text, cursor, completion) {
  const condition = conditionAt(text, cursor);
  const rest = text.slice(condition.at + condition.text.length);
  const isWhole = !completion.endsWith(":");
  const space = isWhole && !rest.startsWith(" ") ? " " : "";
  return {
    text: text.slice(0, condition.at) + completion + space + rest,
    cursor: condition.at + completion.length + (isWhole ? 1 : 0),
  };
}
