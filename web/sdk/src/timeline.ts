// A reader's view of a conversation, from events in any mixture of pages and live batches. As sequence/src/timeline.rs,
// with the lines of a screen kept in order. Each event costs the same, however long the conversation is.
import type { Entry } from "./entry.js";
import { foldText } from "./fold.js";
import { drawsRow, findRewrite, findTarget } from "./kinds/index.js";
import { Entries, type EntryList } from "./list.js";
import { Ledger } from "./marks.js";
import { keepRewrites } from "./rewrites.js";

/** All events that a reader has, folded. Events may come in any order and more than once: what acts on one that has not come
 * yet is kept until it does. */
export class Timeline {
  readonly #entries = new Map<number, Entry>();
  /** By target: the events that change its text and may still matter, as they came, by seq. */
  readonly #rewrites = new Map<number, Entry[]>();
  /** By target: what others left on it. */
  readonly #ledgers = new Map<number, Ledger>();
  readonly #lines = new Entries();
  #shown: Entry[] | undefined;
  #newest = 0;
  #version = 0;

  /** Counts up with every change: a view that holds an older one draws again. */
  get version(): number {
    return this.#version;
  }

  /** The highest seq held. */
  get newest(): number {
    return this.#newest;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(seq: number): Entry | undefined {
    return this.#entries.get(seq);
  }

  /** Takes one event in. */
  apply(incoming: Entry): void {
    this.#applyMarks(incoming);
    const target = findTarget(incoming);
    const entry = this.#applyText(this.#withMarks(incoming), target === 0 ? incoming.seq : target);
    this.#set(entry);
    // Where a hide or what gives back comes late, what was said after it found the comment gone, and did nothing.
    if (target > 0 && findRewrite(incoming)) this.#refold(target, this.#rewrites.get(target) ?? []);
    this.#newest = Math.max(this.#newest, entry.seq);
    this.#version += 1;
    this.#shown = undefined;
  }

  /** Every entry, by seq. */
  entries(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.seq - b.seq);
  }

  /** What a screen shows a row for, by seq; comments that were taken back keep their place. A list that can be held on
   * to; cheap to ask for at every frame. */
  list(): EntryList {
    return this.#lines.view();
  }

  /** The same as an array; the same array until something changes. Costs its length: for a long one, `list`. */
  shown(): Entry[] {
    return (this.#shown ??= [...this.list()]);
  }

  /** Comments by seq, those taken back included. */
  comments(): Entry[] {
    return this.shown().filter((entry) => entry.kind.case === "comment");
  }

  /** Forgets what stands from seq `from` to below `to`. */
  drop(from: number, to: number): void {
    for (let seq = from; seq < to; seq += 1) this.#entries.delete(seq);
    for (const kept of [this.#rewrites, this.#ledgers]) for (const target of kept.keys()) if (target < to) kept.delete(target);
    this.#lines.dropBefore(to);
    this.#version += 1;
    this.#shown = undefined;
  }

  clear(): void {
    this.#entries.clear();
    this.#rewrites.clear();
    this.#ledgers.clear();
    this.#lines.clear();
    this.#newest = 0;
    this.#version += 1;
    this.#shown = undefined;
  }

  /** The sum that an event brings, and the mark that it leaves. */
  #applyMarks({ seq, marks, leaves }: Entry): void {
    if (marks) this.#ledger(seq).rebase(marks);
    if (!leaves) return;
    const ledger = this.#ledger(leaves.target);
    ledger.add(seq, leaves);
    const target = this.#entries.get(leaves.target);
    if (target) this.#set(this.#withMarks(target));
  }

  #ledger(seq: number): Ledger {
    let ledger = this.#ledgers.get(seq);
    if (!ledger) this.#ledgers.set(seq, (ledger = new Ledger()));
    return ledger;
  }

  #withMarks(entry: Entry): Entry {
    const marks = this.#ledgers.get(entry.seq)?.marks();
    return marks ? { ...entry, marks } : entry;
  }

  /** An event as those that change the text of `target` (itself, or what it acts on) leave it; and they as it leaves them. */
  #applyText(entry: Entry, target: number): Entry {
    let rewrites = this.#rewrites.get(target);
    if (findRewrite(entry)) {
      for (const { seq } of rewrites ?? []) this.#refold(seq, [entry]);
      this.#rewrites.set(target, (rewrites = keepRewrites(rewrites ?? [], entry)));
    }
    return (rewrites ?? []).reduce(foldText, entry);
  }

  #refold(seq: number, rewrites: Entry[]): void {
    const entry = this.#entries.get(seq);
    if (!entry) return;
    const folded = rewrites.reduce(foldText, entry);
    if (folded !== entry) this.#set(folded);
  }

  #set(entry: Entry): void {
    this.#entries.set(entry.seq, entry);
    if (drawsRow(entry)) this.#lines.set(entry);
  }
}
