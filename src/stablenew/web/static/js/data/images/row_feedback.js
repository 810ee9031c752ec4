// Feedback on single images, and their rows as it leaves them: at once, before the server knows.

import { outbox } from "../feedback_outbox.js";
import { applyFeedback } from "../opinions.js";

/** Submit feedback on an image. */
export function submitFor(row, input) {
  outbox.submit([{ run_id: row.run_id, image_id: row.digest, ...input }], [row.opinion]);
  row.opinion = applyFeedback(row.opinion, input);
}

/** Give those of `rows` their opinions back that an undone act was about; `entry` is null when there was none. */
export const showUndone = (entry, rows) => change(entry, rows, (_, place) => entry.before[place] ?? {});

/** Give those of `rows` the opinions that an act gives them which was done again. */
export const showRedone = (entry, rows) =>
  change(entry, rows, (row, place) => applyFeedback(row.opinion, entry.says[place]));

function change(entry, rows, opinionOf) {
  for (const [place, input] of entry?.says.entries() ?? [])
    for (const row of rows) if (row && row.digest === input.image_id) row.opinion = opinionOf(row, place);
}
