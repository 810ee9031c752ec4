// Images that arrive while the wall is looked at: shown at once at its top, offered by a pill anywhere else.

import { outbox } from "../../data/feedback_outbox.js";
import { formatCount } from "../../data/format.js";
import { live } from "../../data/live.js";
import { debounce, h, setText } from "../../parts/dom.js";

const RELOAD_MILLISECONDS = 250;
const FACETS_MILLISECONDS = 600;
/** After the server did not answer. */
const RETRY_MILLISECONDS = 3000;
/** A whole list of more images is too much to fetch for each run that arrives. */
const MOST_SHOWN_AT_ONCE = 100_000;

export class WallArrivals {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.count = h("span");
    this.pill = h(
      "button.pill",
      { hidden: true, click: () => this.showNew() },
      h("span", { "aria-hidden": "true" }, "↑ "),
      this.count,
    );
    this.waiting = 0;
    this.isIndexBehind = false;
    this.lookSoon = debounce(() => this.look(), RELOAD_MILLISECONDS);
    this.lookLater = debounce(() => this.look(), RETRY_MILLISECONDS);
    this.facetsSoon = debounce(() => screen.rail.load(), FACETS_MILLISECONDS);
    const onSaved = () => {
      if (this.isIndexBehind && !outbox.unsaved) {
        this.facetsSoon();
        if (screen.order.isOn) this.lookSoon();
      }
      this.isIndexBehind = outbox.unsaved > 0;
    };
    outbox.addEventListener("change", onSaved);
    this.unsubscribe = [
      () => outbox.removeEventListener("change", onSaved),
      live.on("changes", (detail) => this.onChanges(detail)),
      live.on("hello", () => this.lookSoon()),
    ];
  }

  close() {
    this.lookSoon.cancel();
    this.lookLater.cancel();
    this.facetsSoon.cancel();
    this.unsubscribe.forEach((end) => end());
  }

  onChanges({ changes, is_reset: isReset }) {
    const { list } = this.screen;
    const runIds = new Set(changes.map((change) => change.run_id));
    if (isReset) list.expireAll();
    else list.expire(runIds);
    this.screen.loading.showAgain();
    this.facetsSoon();
    this.lookSoon();
  }

  /** Look what is new at the head of the list. */
  async look() {
    const { screen } = this;
    const { list, abort } = screen;
    try {
      const head = await list.fetchHead(abort.signal);
      if (screen.list !== list || abort.signal.aborted) return;
      if (!list.length && head.total) return await screen.loading.reload();
      if (screen.order.isOn && (await this.lookAtOrder(head))) return;
      const added = list.search.group || list.search.sort !== "newest" ? -1 : list.countArrived(head);
      if (added === 0 || (added > 0 && screen.hiding.holds(head.ids.subarray(0, added)))) return;
      if (added > 0 && screen.mayMove) screen.prepend(head, added);
      else if (head.total <= list.total) return;
      else if (this.mayShowAll(head)) await screen.loading.reload({ staysOnTop: true });
      else this.offer(head.total - list.total);
    } catch (error) {
      if (error.name !== "AbortError" && error.status !== 422) this.lookLater();
    }
  }

  /** Whether images that came between others may be shown at once: nobody has begun to look, and the list is short. */
  mayShowAll(/** @type {{total: number}} */ head) {
    const { list, mayMove } = this.screen;
    return mayMove && list.search.sort === "newest" && head.total <= MOST_SHOWN_AT_ONCE;
  }

  /** Show an album as somebody else ordered it, or as it was before an undo. Gives whether its images are the same. */
  async lookAtOrder(/** @type {{ids: Int32Array, total: number}} */ head) {
    const { list, loading, loupe, order } = this.screen;
    if (head.total !== list.total) return false;
    const isMoved = head.ids.some((id, place) => id !== list.ids[place]);
    if (isMoved && !outbox.unsaved && !loupe.isOpen && !order.isDragging) await loading.reload();
    return true;
  }

  offer(count) {
    this.waiting = count;
    this.pill.hidden = count <= 0;
    setText(this.count, `${formatCount(count)} new`);
  }

  async showNew() {
    this.offer(0);
    await this.screen.loading.reload({ isFromTop: true });
  }
}
