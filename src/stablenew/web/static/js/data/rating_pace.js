// How fast somebody rates: over the last two minutes, or since they began.

const WINDOW_MILLISECONDS = 120_000;
const SHORTEST_MILLISECONDS = 5000;

export class RatingPace {
  constructor() {
    /** @type {number[]} */
    this.times = [];
  }

  /** An image was rated at `now`, in milliseconds. */
  add(now) {
    this.times.push(now);
  }

  /** Ratings a minute at `now`; null before there are two. */
  perMinute(now) {
    this.times = this.times.filter((time) => time > now - WINDOW_MILLISECONDS);
    if (this.times.length < 2) return null;
    const span = Math.max(SHORTEST_MILLISECONDS, now - this.times[0]);
    return Math.round((this.times.length * 60_000) / span);
  }
}
