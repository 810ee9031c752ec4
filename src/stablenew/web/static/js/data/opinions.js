// What one rater thinks of an image or a run, and what feedback makes of it.

/** @typedef {{rating?: number | null, flag?: string | null, tags?: string[], notes?: {note_id: string, text: string}[], trashed?: boolean}} Opinion */
/** @typedef {{run_id: string, image_id: string | null, rating?: number | null, flag?: string | null, tags?: string[], remove_tags?: string[], notes?: string, trashed?: boolean}} FeedbackInput */
/**
 * One act of a person as it is stored until the server confirms it. Pages of other versions read it, so its names stay.
 * @typedef {{kind: "say" | "undo" | "redo" | "vote" | "move", act: string, as_act?: string, says?: FeedbackInput[], run_ids?: string[], votes?: any[], move?: any}} Act
 */

/**
 * The opinion after one more feedback. A rating or flag of null clears it; a name left out changes nothing.
 * @param {Opinion} opinion @param {Partial<FeedbackInput>} input @returns {Opinion}
 */
export function applyFeedback(opinion, input) {
  const after = { ...opinion };
  for (const name of ["rating", "flag"]) {
    if (!(name in input)) continue;
    if (input[name] === null) delete after[name];
    else after[name] = input[name];
  }
  if (input.tags?.length || input.remove_tags?.length) {
    const removed = new Set(input.remove_tags ?? []);
    const remaining = (after.tags ?? []).filter((tag) => !removed.has(tag));
    after.tags = [...new Set([...remaining, ...(input.tags ?? [])])].sort();
  }
  if (input.trashed !== undefined) {
    if (input.trashed) after.trashed = true;
    else delete after.trashed;
  }
  if (input.notes !== undefined) after.notes = input.notes ? [{ note_id: "main", text: input.notes }] : [];
  return after;
}

/**
 * What takes `input` back from an opinion that was `before`: an answer of the server may be older than the undo.
 * @param {FeedbackInput} input @param {Opinion | undefined} before @returns {FeedbackInput}
 */
export function reversedFeedback(input, before = {}) {
  /** @type {FeedbackInput} */
  const reversed = { run_id: input.run_id, image_id: input.image_id };
  if ("rating" in input) reversed.rating = before.rating ?? null;
  if ("flag" in input) reversed.flag = before.flag ?? null;
  if (input.trashed !== undefined) reversed.trashed = before.trashed ?? false;
  if (input.notes !== undefined) reversed.notes = before.notes?.[0]?.text ?? "";
  const had = before.tags ?? [];
  const added = (input.tags ?? []).filter((tag) => !had.includes(tag));
  const removed = (input.remove_tags ?? []).filter((tag) => had.includes(tag));
  if (added.length || removed.length) Object.assign(reversed, { tags: removed, remove_tags: added });
  return reversed;
}

/**
 * The opinion of one image, or of a run where `imageId` is null, after `acts` in their order.
 * @param {Opinion} opinion @param {Act[]} acts
 */
export function applyActs(opinion, acts, runId, imageId) {
  const inForce = new Map();
  for (const { kind, act, as_act: redoneAs, says } of acts) {
    if (kind === "undo") {
      inForce.delete(act);
      inForce.set(`undo:${act}`, says ?? []);
    } else inForce.set(kind === "redo" ? redoneAs : act, says);
  }
  const inputs = [...inForce.values()].flat();
  return inputs.filter((input) => input.run_id === runId && input.image_id === imageId).reduce(applyFeedback, opinion);
}
