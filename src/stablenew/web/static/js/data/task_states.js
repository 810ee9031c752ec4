// States of a task come by two ways, as answers and as events, and an older one may come last.

const newest = new Map();

/** Whether this state of a task is no older than what was seen of it. */
export function isNews({ kind, number }) {
  if (number < (newest.get(kind) ?? 0)) return false;
  newest.set(kind, number);
  return true;
}
