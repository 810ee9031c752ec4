// States of a task arrive both as answers and as events, and an older one may arrive last.

/** The number of the newest state of each kind of task. @type {Map<string, number>} */
const newest = new Map();

/** Whether a state of a task is as new as any that arrived before; a state that is not must not be shown. */
export function acceptTaskState({ kind, number }) {
  if (number < (newest.get(kind) ?? 0)) return false;
  newest.set(kind, number);
  return true;
}
