// The marks of an image that are tags: colours, and those that people typed.

import { h } from "./dom.js";

/** A colour is a tag that begins with one of these; new ones begin with the first. */
export const COLOUR_PREFIXES = ["label:", "colour:"];

const prefixOf = (tag) => COLOUR_PREFIXES.find((prefix) => tag.startsWith(prefix));

/** An album is a tag that begins with this. */
export const ALBUM_PREFIX = "album:";

const isAlbum = (tag) => tag.startsWith(ALBUM_PREFIX);

/** What somebody said of copies is a tag too, which the screen of copies shows. */
const isOfCopies = (tag) => /^(?:no-)?copy:/.test(tag);

export const shownTags = (image) =>
  (image.opinion.tags ?? []).filter((tag) => !prefixOf(tag) && !isAlbum(tag) && !isOfCopies(tag));

/** The names of the albums an image is in. @returns {string[]} */
export const albumsOf = (image) =>
  (image.opinion.tags ?? []).filter(isAlbum).map((tag) => tag.slice(ALBUM_PREFIX.length));

/** The tags of an image that are colours. @returns {string[]} */
export const colourTags = (image) => (image.opinion.tags ?? []).filter(prefixOf);

export function buildDots(image) {
  const [tag] = colourTags(image);
  if (!tag) return null;
  const colour = tag.slice(prefixOf(tag)?.length);
  return h("span.dot", { "data-colour": colour, title: colour });
}
