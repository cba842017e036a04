// Admission by seq: each event once, in order, none missing. The same machine as sequence/src/{cursor,inbox}.rs.

/** Consecutive events, one a seq, the first of them at `first`. */
export interface Run<T> {
  first: number;
  items: T[];
}

/** What came of a run. */
export type Offer<T> =
  | { kind: "ready"; first: number; items: T[] }
  | { kind: "seen" }
  | { kind: "hole"; from: number; to: number }
  | { kind: "overflow"; from: number };

/** A cursor, and the runs that wait until the hole before them is filled. */
export class Inbox<T> {
  /** By `first`, ascending, no two the same. */
  #waiting: Run<T>[] = [];
  #count = 0;

  constructor(
    private at: number,
    /** Events that may wait. */
    private readonly most: number,
  ) {}

  /** The last seq handed out. */
  get delivered(): number {
    return this.at;
  }

  get waiting(): number {
    return this.#count;
  }

  /** The hole before the earliest run that waits. */
  get hole(): { from: number; to: number } | undefined {
    const next = this.#waiting[0];
    return next && { from: this.at + 1, to: next.first - 1 };
  }

  /** Takes a run, live or from a page, in any order and as often as it comes. */
  offer(run: Run<T>): Offer<T> {
    const last = run.first + run.items.length - 1;
    if (last < run.first || last <= this.at) return { kind: "seen" };
    if (run.first > this.at + 1) return this.#keep(run);
    const first = this.at + 1;
    const items = run.items.slice(first - run.first);
    this.at = last;
    this.#drainWaiting(items);
    return { kind: "ready", first, items };
  }

  #keep(run: Run<T>): Offer<T> {
    const place = this.#findPlace(run.first);
    const there = this.#waiting[place];
    const kept = there?.first === run.first ? there : undefined;
    const more = run.items.length - (kept?.items.length ?? 0);
    if (more > 0) {
      if (this.#count + more > this.most) {
        this.#waiting = [];
        this.#count = 0;
        return { kind: "overflow", from: this.at + 1 };
      }
      this.#count += more;
      this.#waiting.splice(place, kept ? 1 : 0, run);
    }
    return { kind: "hole", ...(this.hole ?? { from: this.at + 1, to: run.first - 1 }) };
  }

  #drainWaiting(items: T[]): void {
    let taken = 0;
    for (const run of this.#waiting) {
      if (run.first > this.at + 1) break;
      taken += 1;
      this.#count -= run.items.length;
      const last = run.first + run.items.length - 1;
      if (last <= this.at) continue;
      for (let index = this.at + 1 - run.first; index < run.items.length; index += 1) items.push(run.items[index] as T);
      this.at = last;
    }
    if (taken > 0) this.#waiting.splice(0, taken);
  }

  /** Where a run that starts at `first` stands, or would. */
  #findPlace(first: number): number {
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#waiting[middle]?.first ?? 0) < first) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
