// The heading of a group of images on the wall: what they have in common, and how many they are.

import { formatTime, plural } from "../../data/format.js";
import { fill, h } from "../../parts/dom.js";

const days = new Intl.DateTimeFormat(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" });

export const createHeading = () => h("div.wall-heading");

/** Name the group of the images from `first` up to `last`. */
export function showHeading(node, list, group, first, last) {
  const row = list.row(first);
  const unrated = list.rated.subarray(first, last).reduce((count, isOn) => count + (isOn ? 0 : 1), 0);
  const name = row && !row.isGone ? nameGroup(row, group) : "";
  fill(
    node,
    h("strong", { title: name }, name),
    h("span.soft", plural(last - first, "image") + (unrated ? ` · ${unrated} unrated` : "")),
  );
}

function nameGroup(row, group) {
  if (group === "day") return nameDay(row.created_at);
  if (group === "seed") return `Seed ${row.settings.seed ?? "unknown"} · ${row.prompt ?? ""}`;
  if (group === "prompt") return row.prompt || "No prompt";
  return `${formatTime(row.created_at)} · ${row.prompt ?? row.run_id}`;
}

export function nameDay(timestamp, now = new Date()) {
  if (!timestamp) return "Day unknown";
  const day = new Date(timestamp);
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
  const age = Math.round((midnight(now) - midnight(day)) / 86_400_000);
  return { 0: "Today", 1: "Yesterday" }[age] ?? days.format(day);
}
