// Images to rate on the spot. What was said of them before is not shown: stars that are asked for again must be blind.

import { thumbnailUrl } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { h } from "../dom.js";
import { buildStars } from "../stars.js";

const THUMBNAIL = 320;

/**
 * A row of images with stars, under some words; null where there are none.
 * @param {string} label @param {string} words @param {{run_id: string, image_id: string}[]} images
 */
export const buildRateHere = (label, words, images, { isReadOnly }) =>
  images.length
    ? h(
        "div",
        { role: "group", "aria-label": label },
        h("p", words),
        h(
          "div.previews",
          images.map((image, index) => buildFigure(image, `${label}, image ${index + 1}`, isReadOnly)),
        ),
      )
    : null;

function buildFigure({ run_id: runId, image_id: imageId }, name, isReadOnly) {
  const rate = (rating) => {
    outbox.submit([{ run_id: runId, image_id: imageId, rating }], [{ rating: stars.rating ?? undefined }]);
    stars.show(rating);
  };
  const stars = buildStars(name, rate, { isReadOnly, inTabOrder: true });
  return h("figure", h("img", { alt: name, src: thumbnailUrl(runId, imageId, THUMBNAIL) }), stars);
}
