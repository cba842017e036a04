// Marks: what later events leave on an earlier one, counted by mark and value. As sequence/src/marks.rs; knows no kind of
// event.
import type { MarkKind, MarkSet as WireMarkSet, Marks as WireMarks } from "./gen/event_pb.js";

/** A mark set, replaced or (value empty) taken off. */
export interface MarkSet {
  /** seq of the event that it is on. */
  target: number;
  mark: MarkKind;
  value: string;
  /** The value it takes the place of; empty: none. */
  replaces: string;
}

export interface MarkCount {
  mark: MarkKind;
  value: string;
  count: number;
}

/** The marks on an event, summed up. */
export interface Marks {
  /** seq of the newest event that is counted. */
  asOf: number;
  /** In the order of mark, then value; none with a count of 0. */
  counts: MarkCount[];
}

export function decodeMarkSet({ target, mark, value, replaces }: WireMarkSet): MarkSet {
  return { target: Number(target), mark, value, replaces };
}

export function decodeMarks({ asOf, counts }: WireMarks): Marks {
  return { asOf: Number(asOf), counts: counts.map(({ mark, value, count }) => ({ mark, value, count })) };
}

/** How many left this on an event. */
export function countMarks(marks: Marks | undefined, mark: MarkKind, value: string): number {
  return marks?.counts.find((one) => one.mark === mark && one.value === value)?.count ?? 0;
}

/** Numbers by mark and value. May be below 0 for a while, where what was replaced is not known yet. */
class Tally {
  readonly #counts = new Map<string, MarkCount>();

  constructor(marks?: Marks) {
    for (const { mark, value, count } of marks?.counts ?? []) this.#add(mark, value, count);
  }

  apply({ mark, value, replaces }: MarkSet): void {
    this.#add(mark, replaces, -1);
    this.#add(mark, value, 1);
  }

  counts(): MarkCount[] {
    const counted = [...this.#counts.values()].filter(({ count }) => count > 0);
    return counted.map((one) => ({ ...one })).sort((a, b) => a.mark - b.mark || (a.value < b.value ? -1 : 1));
  }

  #add(mark: MarkKind, value: string, count: number): void {
    // An empty value is a mark taken off.
    if (value === "") return;
    const key = `${mark} ${value}`;
    const one = this.#counts.get(key);
    if (one) one.count += count;
    else this.#counts.set(key, { mark, value, count });
  }
}

/** The marks on an event after a later one left `set` there, where it is not counted already. Several come in the order of
 * their seqs. */
export function addMark(marks: Marks | undefined, seq: number, set: MarkSet): Marks {
  if (marks && seq <= marks.asOf) return marks;
  const tally = new Tally(marks);
  tally.apply(set);
  return { asOf: seq, counts: tally.counts() };
}

/** The marks on one event for a reader that is sent events in any order and more than once: the newest summary, and what
 * came after it. */
export class Ledger {
  #base: Marks | undefined;
  #later = new Map<number, MarkSet>();
  #newest = 0;
  #tally = new Tally();

  /** Takes a summary, where it is newer than the one that is known. */
  rebase(marks: Marks): void {
    if (this.#base && this.#base.asOf >= marks.asOf) return;
    this.#later = new Map([...this.#later].filter(([seq]) => seq > marks.asOf));
    this.#tally = new Tally(marks);
    for (const set of this.#later.values()) this.#tally.apply(set);
    this.#base = marks;
  }

  /** Takes what the event `seq` leaves. */
  add(seq: number, set: MarkSet): void {
    if ((this.#base && seq <= this.#base.asOf) || this.#later.has(seq)) return;
    this.#later.set(seq, set);
    this.#newest = Math.max(this.#newest, seq);
    this.#tally.apply(set);
  }

  /** All of it, summed up; undefined: nothing was ever left. */
  marks(): Marks | undefined {
    if (!this.#base && this.#later.size === 0) return undefined;
    return { asOf: Math.max(this.#newest, this.#base?.asOf ?? 0), counts: this.#tally.counts() };
  }
}
