// The rail beside the wall: its order and groups, saved searches, and the values there are to narrow the search down.

import { getJson } from "../../data/api.js";
import { getItem, setItem } from "../../data/local_storage.js";
import { splitQuery, toggleCondition } from "../../data/query_text.js";
import { buildOptions, buildSelect, fill, h } from "../../parts/dom.js";
import { buildFacets } from "../../parts/facet_rail.js";
import { isVeiled, setVeil } from "../../parts/veil.js";

const RAIL_KEY = "stablenew:facets";
const MAX_FACET_VALUES = 8;
const SORTS = [
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["best", "Best first"],
  ["worst", "Worst first"],
  ["random", "Random"],
];
/** The order of the images of an album, where one is searched for. */
const ALBUM_ORDER = ["album", "Album order"];
const GROUPS = [
  ["", "No groups"],
  ["day", "By day"],
  ["job", "By job"],
  ["prompt", "By prompt"],
  ["seed", "By prompt and seed"],
];

export class WallRail {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.order = buildSelect(SORTS, screen.sort, (sort) => screen.show({ sort }), { "aria-label": "Sort" });
    this.showOrder();
    this.facets = h("div.facet-list");
    this.element = h(
      "aside.rail",
      { "aria-label": "Filters" },
      h(
        "div.rail-head",
        this.order,
        buildSelect(GROUPS, screen.group, (group) => screen.show({ group }), { "aria-label": "Group" }),
        screen.app.box.viewsElement,
        buildSwitch("stack", "Stack seeds", screen.isStacked, (isStacked) => screen.show({ isStacked })),
        buildSwitch("veil", "Blur until hover", isVeiled(), setVeil),
      ),
      this.facets,
    );
    this.element.hidden = screen.isNarrow || getItem(RAIL_KEY) === "off";
  }

  /** Show the values that the images found have. */
  async load() {
    const { app, query, abort } = this.screen;
    const request = { query, limit: MAX_FACET_VALUES };
    const found = await getJson("/api/images/facets", request, abort.signal).catch(() => null);
    if (!found) return;
    const chosen = new Set(splitQuery(query).map((part) => part.text));
    const toggle = (field, value) => app.box.set(toggleCondition(query, field, value));
    fill(this.facets, buildFacets(found, chosen, toggle));
  }

  /** Show the order, among those that this search can have. */
  showOrder() {
    const { sort, hasAlbum } = this.screen;
    fill(this.order, buildOptions(hasAlbum ? [ALBUM_ORDER, ...SORTS] : SORTS));
    this.order.value = sort;
  }

  toggle() {
    this.element.hidden = !this.element.hidden;
    setItem(RAIL_KEY, this.element.hidden ? "off" : "on");
  }
}

function buildSwitch(id, text, isOn, onChange) {
  const box = h("input", { type: "checkbox", id, checked: isOn, change: () => onChange(box.checked) });
  return h("label.switch", { for: id }, box, text);
}
