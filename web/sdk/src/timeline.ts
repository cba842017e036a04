// A reader's view of a conversation, from events in any mixture of pages and live batches. As sequence/src/timeline.rs,
// with the lines of a screen kept in order. Each event costs the same, however long the conversation is.
import type { Entry } from "./entry.js";
import { fold } from "./fold.js";
import { drawsRow, keepChanges, outranks, removesTarget, findTarget } from "./kinds/index.js";
import { Entries, type EntryList } from "./list.js";

/** What is known to have happened to one event: enough to fold it, and its changes, whenever they come. */
interface Changes {
  /** Those that may still matter, as they were when they came. Empty where it was taken away. */
  held: Entry[];
  removal: Entry | undefined;
}

/** All events that a reader has, folded. What acts on a comment that has not come yet is kept until it does. */
export class Timeline {
  readonly #entries = new Map<number, Entry>();
  readonly #changes = new Map<number, Changes>();
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
    const target = findTarget(incoming);
    const entry = target === 0 ? this.#foldChanges(incoming, this.#changes.get(incoming.seq)) : this.#applyChange(target, incoming);
    this.#set(entry);
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
    for (const target of this.#changes.keys()) if (target < to) this.#changes.delete(target);
    this.#lines.dropBefore(to);
    this.#version += 1;
    this.#shown = undefined;
  }

  clear(): void {
    this.#entries.clear();
    this.#changes.clear();
    this.#lines.clear();
    this.#newest = 0;
    this.#version += 1;
    this.#shown = undefined;
  }

  /** A change acts on its target and on the other changes of it, and they on it. */
  #applyChange(target: number, change: Entry): Entry {
    let changes = this.#changes.get(target);
    if (!changes) this.#changes.set(target, (changes = { held: [], removal: undefined }));
    this.#refold(target, change);
    for (const { seq } of changes.held) this.#refold(seq, change);
    const entry = this.#foldChanges(change, changes);
    if (removesTarget(entry)) {
      if (!changes.removal || outranks(entry, changes.removal)) changes.removal = entry;
      // Their words are nowhere any more.
      changes.held = [];
    } else if (!changes.removal) changes.held = keepChanges(changes.held, entry) as Entry[];
    return entry;
  }

  #foldChanges(entry: Entry, changes: Changes | undefined): Entry {
    if (!changes) return entry;
    let folded = entry;
    for (const change of changes.held) folded = fold(folded, change);
    return changes.removal ? fold(folded, changes.removal) : folded;
  }

  #refold(seq: number, change: Entry): void {
    const entry = this.#entries.get(seq);
    if (!entry) return;
    const folded = fold(entry, change);
    if (folded !== entry) this.#set(folded);
  }

  #set(entry: Entry): void {
    this.#entries.set(entry.seq, entry);
    if (drawsRow(entry)) this.#lines.set(entry);
  }
}
