// The symbols of buttons, drawn: glyphs for some of them are missing in common fonts.

import { svg } from "../dom.js";

const PATHS = {
  pick: "M5 21V4h12l-2.5 4.5L17 13H7v8z",
  reject: "M6 6l12 12M18 6L6 18",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  tick: "M5 12.5l4.5 4.5L19 7.5",
  info: "M12 11v6M12 7.5v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  close: "M6 6l12 12M18 6L6 18",
  previous: "M14.5 5l-7 7 7 7",
  next: "M9.5 5l7 7-7 7",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  wall: "M4 5h9v6H4zM15 5h5v6h-5zM4 13h5v6H4zM11 13h9v6h-9z",
  jobs: "M5 6h14M5 12h14M5 18h14",
  filter: "M4 6h16l-6 7v6l-4-2v-4z",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  stack: "M4 8h12v12H4zM8 8V4h12v12h-4",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
};
const FILLED = ["pick", "play"];

/** A drawing of 24 by 24 units in the colour of the text. */
export function icon(name) {
  const attributes = {
    viewBox: "0 0 24 24",
    class: `icon${FILLED.includes(name) ? " filled" : ""}`,
    "aria-hidden": "true",
    focusable: "false",
  };
  return svg("svg", attributes, svg("path", { d: PATHS[name] }));
}
