// Where each image of a wall stands: rows of nearly equal height that fill the width, nothing cropped, no ragged edge.
//
// Images are cut into blocks. The height of each block is known exactly after one pass of additions; the rows of a block
// are worked out when it comes near the view. A list without groups is cut from its end, so that images that arrive at
// the head change one block only.

const BLOCK = 1024;
const MAX_CACHED_BLOCKS = 64;
/** The last row of a group is stretched to the full width unless it becomes this many times as high as asked. */
const MAX_STRETCH = 1.35;
const RATIO_UNITS = 4096;

/** @typedef {{first: number, last: number, top: number, height: number, block: number}} Row images from `first` up to `last` */

export class JustifiedLayout {
  /**
   * @param {Uint16Array} ratios width / height of each image, times 4096
   * @param {Uint32Array} starts the first image of each group; empty without groups
   * @param {{width: number, rowHeight: number, gap: number, headingHeight: number}} sizes in pixels
   */
  constructor(ratios, starts, { width, rowHeight, gap, headingHeight }) {
    this.ratios = ratios;
    this.count = ratios.length;
    this.width = Math.max(1, width);
    this.rowHeight = rowHeight;
    this.gap = gap;
    this.headingHeight = headingHeight;
    this.isGrouped = starts.length > 0;
    /** @type {Map<number, Row[]>} */
    this.rows = new Map();
    this.cut(starts);
    this.measure();
  }

  /** Cut the images into blocks: where each begins, and which of them begin a group. */
  cut(starts) {
    /** @type {number[]} */
    const firsts = [];
    const headed = [];
    const cutGroup = (first, last) => {
      for (let at = first; at < last; at += BLOCK) {
        firsts.push(at);
        headed.push(at === first ? 1 : 0);
      }
    };
    if (this.isGrouped) starts.forEach((start, group) => cutGroup(start, starts[group + 1] ?? this.count));
    else
      for (let at = this.count % BLOCK || BLOCK, first = 0; first < this.count; first = at, at += BLOCK)
        firsts.push(first);
    this.firsts = Uint32Array.from([...firsts, this.count]);
    this.headed = this.isGrouped ? Uint8Array.from(headed) : new Uint8Array(firsts.length);
    this.blockCount = firsts.length;
  }

  /** The tops of all blocks, and the height of the whole. */
  measure() {
    this.tops = new Float64Array(this.blockCount + 1);
    for (let block = 0; block < this.blockCount; block += 1)
      this.tops[block + 1] = this.tops[block] + this.breakBlock(block, null);
  }

  get height() {
    return this.tops[this.blockCount];
  }

  /** Whether rows may end ragged in this block: it is the last of its group, or of the list. */
  isEnd(block) {
    return block === this.blockCount - 1 || (this.isGrouped && this.headed[block + 1] === 1);
  }

  /** Break a block into rows. Gives its height; with `rows` also fills it. */
  breakBlock(block, /** @type {Row[] | null} */ rows) {
    const { ratios, width, gap, rowHeight } = this;
    const end = this.firsts[block + 1];
    let top = this.headed[block] ? this.headingHeight : 0;
    let first = this.firsts[block];
    let left = 0;
    for (let index = first; index < end; index += 1) left += ratios[index];
    left /= RATIO_UNITS;
    let rowsLeft = nearestRowCount((left * rowHeight) / width);
    let lastHeight = rowHeight;
    while (first < end) {
      const goal = left / rowsLeft;
      let sum = 0;
      let last = first;
      while (last < end) {
        const ratio = ratios[last] / RATIO_UNITS;
        if (rowsLeft > 1 && last > first && sum + ratio / 2 > goal) break;
        sum += ratio;
        last += 1;
      }
      let height = Math.max(1, (width - gap * (last - first - 1)) / sum);
      if (last === end && this.isEnd(block) && height > MAX_STRETCH * rowHeight)
        height = Math.min(height, first > this.firsts[block] ? lastHeight : rowHeight);
      rows?.push({ first, last, top, height, block });
      top += height + gap;
      left -= sum;
      rowsLeft = Math.max(1, rowsLeft - 1);
      first = last;
      lastHeight = height;
    }
    return top;
  }

  /** The rows of a block; their tops count from the block's. */
  rowsOf(block) {
    let rows = this.rows.get(block);
    if (!rows) {
      rows = [];
      this.breakBlock(block, rows);
      if (this.rows.size >= MAX_CACHED_BLOCKS) this.rows.delete(this.rows.keys().next().value ?? -1);
      this.rows.set(block, rows);
    }
    return rows;
  }

  /** The block that holds an image. */
  blockOf(index) {
    return lastNotAbove(this.firsts, this.blockCount, index);
  }

  /** The block at a distance from the top. */
  blockAt(y) {
    return lastNotAbove(this.tops, this.blockCount, y);
  }

  /** The row of an image. @returns {Row} */
  rowOf(index) {
    const rows = this.rowsOf(this.blockOf(index));
    return rows[
      lastNotAbove(
        rows.map((row) => row.first),
        rows.length,
        index,
      )
    ];
  }

  /** Where an image stands: left, top, width and height in pixels of the whole wall. */
  boxOf(index) {
    const row = this.rowOf(index);
    let left = 0;
    for (let other = row.first; other < index; other += 1) left += this.widthIn(row, other) + this.gap;
    return { left, top: this.tops[row.block] + row.top, width: this.widthIn(row, index), height: row.height };
  }

  widthIn(row, index) {
    return (this.ratios[index] / RATIO_UNITS) * row.height;
  }

  /**
   * Call `onImage` with each image whose row meets [from, to], and `onHeading` with each heading there, in order.
   * @param {(index: number, left: number, top: number, width: number, height: number) => void} onImage
   * @param {(first: number, last: number, top: number) => void} onHeading
   */
  walk(from, to, onImage, onHeading = () => {}) {
    if (!this.count) return;
    for (let block = this.blockAt(from); block < this.blockCount && this.tops[block] <= to; block += 1) {
      const blockTop = this.tops[block];
      if (this.headed[block]) onHeading(this.firsts[block], this.groupEnd(block), blockTop);
      for (const row of this.rowsOf(block)) {
        const top = blockTop + row.top;
        if (top + row.height < from || top > to) continue;
        let left = 0;
        for (let index = row.first; index < row.last; index += 1) {
          const width = this.widthIn(row, index);
          onImage(index, left, top, width, row.height);
          left += width + this.gap;
        }
      }
    }
  }

  /** Where the group that begins with a block ends. */
  groupEnd(block) {
    let next = block + 1;
    while (next < this.blockCount && !this.headed[next]) next += 1;
    return this.firsts[next];
  }

  /** The image at a place of the wall; -1 between images. */
  imageAt(x, y) {
    let found = -1;
    this.walk(y, y, (index, left, top, width, height) => {
      if (x >= left && x < left + width && y >= top && y < top + height) found = index;
    });
    return found;
  }

  /** The images that a rectangle touches, in order. */
  imagesIn({ left, top, right, bottom }) {
    /** @type {number[]} */
    const found = [];
    this.walk(top, bottom, (index, x, y, width, height) => {
      if (x < right && x + width > left && y < bottom && y + height > top) found.push(index);
    });
    return found;
  }

  /** The image in the row above (-1) or below (1) that stands nearest to an image; the image itself at the edge. */
  neighbour(index, step) {
    const row = this.rowOf(index);
    const box = this.boxOf(index);
    const next = step < 0 ? row.first - 1 : row.last;
    if (next < 0 || next >= this.count) return index;
    const other = this.rowOf(next);
    const middle = box.left + box.width / 2;
    let left = 0;
    for (let candidate = other.first; candidate < other.last; candidate += 1) {
      left += this.widthIn(other, candidate) + this.gap;
      if (middle < left || candidate === other.last - 1) return candidate;
    }
    return index;
  }
}

/** The whole number of rows, at least 1, that is nearest to a fraction of rows in proportion. */
export function nearestRowCount(rows) {
  const below = Math.max(1, Math.floor(rows));
  return rows / below > (below + 1) / rows ? below + 1 : below;
}

/** The last position of ascending `values` (of the first `count`) whose value is not above `wanted`; at least 0. */
export function lastNotAbove(values, count, wanted) {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle] <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
