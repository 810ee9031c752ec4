// An album in the order that a person gives it: images are moved by dragging, by Alt and an arrow, or by the buttons of
// the selection.

import { outbox } from "../../data/feedback_outbox.js";
import { toast } from "../../parts/dialogs.js";
import { h } from "../../parts/dom.js";

const EDGE_PIXELS = 48;
const SCROLL_PIXELS = 16;

export class AlbumOrder {
  /** @param {any} screen */
  constructor(screen) {
    this.screen = screen;
    this.isDragging = false;
    /** Whether the next image that is tapped is the one to move the selection before. */
    this.isPlacing = false;
    this.before = -1;
    this.mark = h("div.insertion", { hidden: true });
    screen.viewport.append(this.mark);
  }

  /** Whether the wall shows an album in its order, and that can be changed. */
  get isOn() {
    const { isReadOnly, sort, hasAlbum, group, isStacked } = this.screen;
    return !isReadOnly && hasAlbum && sort === "album" && !group && !isStacked;
  }

  /** What a key does that is pressed together with Alt; null when it does nothing. */
  actionOf({ key, altKey, ctrlKey, metaKey }) {
    if (!altKey || ctrlKey || metaKey || !this.isOn || this.screen.isLoupeOpen) return null;
    const { selection, view, list } = this.screen;
    const first = () => selection.indexes[0];
    const last = () => selection.indexes[selection.indexes.length - 1];
    const targets = {
      ArrowLeft: () => first() - 1,
      ArrowRight: () => last() + 2,
      ArrowUp: () => view.stepRows(first(), -1),
      ArrowDown: () => view.stepRows(last(), 1) + 1,
      Home: () => 0,
      End: () => list.length,
    };
    return key in targets ? () => this.moveBefore(targets[key]()) : null;
  }

  /** Move the images that keys are about before the one that has an index, or to the end. */
  async moveBefore(index) {
    const { screen } = this;
    const { list, selection, view, query } = screen;
    const { indexes } = selection;
    const before = Math.max(0, Math.min(list.length, index));
    const isMoved = (at) => indexes.includes(at);
    let next = before;
    while (next < list.length && isMoved(next)) next += 1;
    let previous = before - 1;
    while (previous >= 0 && isMoved(previous)) previous -= 1;
    const isAfter = next >= list.length;
    const target = isAfter ? previous : next;
    if (target < 0) return;
    await list.ensureLoaded(Math.min(target, indexes[0]), Math.max(target, ...indexes) + 1);
    const rows = indexes.map((at) => list.row(at));
    const neighbour = list.row(target);
    if ([...rows, neighbour].some((row) => !row || row.isGone)) return toast("An image that is gone cannot be moved");
    const cursor = indexes.indexOf(screen.cursor);
    const hasSelection = selection.size > 0;
    const first = list.move(indexes, before);
    if (indexes.every((at, place) => at === first + place)) return;
    outbox.move(rows, { query, target: neighbour.digest, is_after: isAfter });
    selection.moveTo(first + Math.max(0, cursor));
    if (hasSelection) selection.selected = new Set(indexes.map((_, place) => first + place));
    view.reset(view.anchor());
    screen.changeSelection(() => {});
  }

  /** The next image that is tapped is the one to move the selection before. */
  setPlacing(isPlacing) {
    this.isPlacing = isPlacing;
    this.screen.viewport.classList.toggle("placing", isPlacing);
    if (isPlacing) toast("Choose the image to move before");
  }

  place(index) {
    this.setPlacing(false);
    this.screen.actions.add(() => this.moveBefore(index));
  }

  dragStart(/** @type {DragEvent} */ event, index) {
    const { screen } = this;
    if (!this.isOn) return;
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "copyMove";
    if (!screen.selection.has(index)) screen.changeSelection(() => screen.selection.moveTo(index), { reveals: false });
    this.setDragging(true);
  }

  setDragging(isDragging) {
    this.isDragging = isDragging;
    this.before = -1;
    this.mark.hidden = true;
    if (isDragging) this.screen.hoverBar.hide();
  }

  /** Show where the images would go that are dragged; the wall scrolls at its edges. */
  dragOver(/** @type {DragEvent} */ event) {
    if (!this.isDragging) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "move";
    const { view, viewport } = this.screen;
    const edges = viewport.getBoundingClientRect();
    if (event.clientY < edges.top + EDGE_PIXELS) viewport.scrollTop -= SCROLL_PIXELS;
    else if (event.clientY > edges.bottom - EDGE_PIXELS) viewport.scrollTop += SCROLL_PIXELS;
    const index = view.imageAt(event.clientX, event.clientY);
    if (index < 0) return;
    const box = view.placeOf(index);
    const isBehind = view.toWall(event.clientX, event.clientY).x + view.margin > box.left + box.width / 2;
    this.before = index + Number(isBehind);
    this.mark.hidden = false;
    this.mark.style.height = `${box.height}px`;
    this.mark.style.transform = `translate(${box.left + (isBehind ? box.width : -4)}px,${box.top}px)`;
  }

  drop(/** @type {DragEvent} */ event) {
    if (!this.isDragging) return;
    event.preventDefault();
    const { before } = this;
    this.setDragging(false);
    if (before >= 0) this.screen.actions.add(() => this.moveBefore(before));
  }
}
