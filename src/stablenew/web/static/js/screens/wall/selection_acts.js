// What is done with the selected images beside feedback: they go into an album, or out as a zip file.

import { getJson, postBlob } from "../../data/api.js";
import { plural } from "../../data/format.js";
import { getItem, setItem } from "../../data/local_storage.js";
import { askText, toast } from "../../parts/dialogs.js";
import { h, saveBlob } from "../../parts/dom.js";
import { ALBUM_PREFIX, albumsOf } from "../../parts/image_words.js";

const TEMPLATE_KEY = "stablenew:export-names";
const EXTRAS = [
  ["xmp", "XMP: stars, tags, prompt"],
  ["captions", "Captions for trainers"],
  ["settings", "All that is known, as JSON"],
];

/** Put images into an album; out of it where all of them are in it already. */
export async function changeAlbum({ feedback, isReadOnly }) {
  const images = feedback.targets.map(({ image }) => image);
  if (!images.length || isReadOnly) return;
  const name = await askText({
    title: plural(images.length, "image"),
    label: "Album",
    hint: "The name of an album they are all in takes them out of it.",
    choices: getJson("/api/images/facets", { limit: 50 }).then(({ album }) => album.map(({ value }) => value)),
  });
  const album = name?.trim();
  if (!album) return;
  const isIn = images.every((image) => albumsOf(image).includes(album));
  await feedback.submit(() => ({ [isIn ? "remove_tags" : "tags"]: [ALBUM_PREFIX + album] }));
  toast(`${plural(images.length, "image")} ${isIn ? "out of" : "in"} ${album}`);
}

/** Save copies of images under names of the person's own, in a zip file. */
export async function exportImages({ feedback, order }) {
  const images = feedback.targets.map(({ image }) => image);
  const boxes = EXTRAS.map(([id, text]) => [id, h("input", { type: "checkbox", id: `export-${id}` }), text]);
  const template = await askText({
    title: `Save ${plural(images.length, "image")} as a zip`,
    label: "Names",
    value: order.isOn ? "{n}-{prompt:40}" : (getItem(TEMPLATE_KEY) ?? "{date}-{seed}-{prompt:40}"),
    hint: "{n} {date} {time} {prompt:40} {stars} {run} {digest} {seed} {sampler} …",
    extra: boxes.map(([id, box, text]) => h("label.switch", { for: `export-${id}` }, box, text)),
  });
  if (!template || !images.length) return;
  if (!order.isOn) setItem(TEMPLATE_KEY, template);
  const extras = Object.fromEntries(boxes.map(([id, box]) => [id, box.checked]));
  saveBlob(
    await postBlob("/api/images/export", { ids: images.map(({ id }) => id), template, ...extras }),
    "images.zip",
  );
}
