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
  readonly #waiting = new Map<number, Run<T>>();
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
    if (this.#waiting.size === 0) return undefined;
    return { from: this.at + 1, to: Math.min(...this.#waiting.keys()) - 1 };
  }

  /** Takes a run, live or from a page, in any order and as often as it comes. */
  offer(run: Run<T>): Offer<T> {
    const last = run.first + run.items.length - 1;
    if (last < run.first || last <= this.at) return { kind: "seen" };
    if (run.first > this.at + 1) return this.#keep(run);
    const first = this.at + 1;
    const items = run.items.slice(first - run.first);
    this.at = last;
    this.#takeWaiting(items);
    return { kind: "ready", first, items };
  }

  #keep(run: Run<T>): Offer<T> {
    const kept = this.#waiting.get(run.first);
    if (!kept || kept.items.length < run.items.length) {
      const more = run.items.length - (kept?.items.length ?? 0);
      if (this.#count + more > this.most) {
        this.#waiting.clear();
        this.#count = 0;
        return { kind: "overflow", from: this.at + 1 };
      }
      this.#count += more;
      this.#waiting.set(run.first, run);
    }
    const hole = this.hole ?? { from: this.at + 1, to: run.first - 1 };
    return { kind: "hole", ...hole };
  }

  #takeWaiting(items: T[]): void {
    while (this.#waiting.size > 0) {
      const first = Math.min(...this.#waiting.keys());
      if (first > this.at + 1) return;
      const run = this.#waiting.get(first);
      if (!run) return;
      this.#waiting.delete(first);
      this.#count -= run.items.length;
      const last = first + run.items.length - 1;
      if (last > this.at) {
        items.push(...run.items.slice(this.at + 1 - first));
        this.at = last;
      }
    }
  }
}
