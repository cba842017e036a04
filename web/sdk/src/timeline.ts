// A reader's view of a conversation, from events in any mixture of pages and live batches. As sequence/src/timeline.rs,
// with the comments kept in order for a list on a screen.
import type { Entry } from "./entry.js";
import { fold, targetOf } from "./fold.js";

/** All events that a reader has, folded. What acts on a comment that has not come yet is kept until it does. */
export class Timeline {
  readonly #entries = new Map<number, Entry>();
  readonly #changes = new Map<number, Entry[]>();
  /** Seqs of what a screen shows a line for (comments, and changes of the consultation), ascending. */
  #shown: number[] = [];
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
    let entry = incoming;
    const target = targetOf(entry);
    if (target !== 0) {
      this.#refold(target, entry);
      let changes = this.#changes.get(target);
      if (!changes) this.#changes.set(target, (changes = []));
      for (const earlier of changes) this.#refold(earlier.seq, entry);
      if (!changes.some((change) => change.seq === entry.seq)) changes.push(entry);
    }
    for (const change of this.#changes.get(target || entry.seq) ?? []) entry = fold(entry, change);
    const isShown = entry.kind.case === "comment" || entry.kind.case === "consultationChanged";
    if (isShown && !this.#entries.has(entry.seq)) this.#place(entry.seq);
    this.#entries.set(entry.seq, entry);
    this.#newest = Math.max(this.#newest, entry.seq);
    this.#version += 1;
  }

  /** Every entry, by seq. */
  entries(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.seq - b.seq);
  }

  /** What a screen shows a line for, by seq: comments (those taken back keep their place) and changes of the consultation. */
  shown(): Entry[] {
    const list: Entry[] = [];
    for (const seq of this.#shown) {
      const entry = this.#entries.get(seq);
      if (entry) list.push(entry);
    }
    return list;
  }

  /** Comments by seq, those taken back included. */
  comments(): Entry[] {
    return this.shown().filter((entry) => entry.kind.case === "comment");
  }

  clear(): void {
    this.#entries.clear();
    this.#changes.clear();
    this.#shown = [];
    this.#newest = 0;
    this.#version += 1;
  }

  #refold(seq: number, change: Entry): void {
    const entry = this.#entries.get(seq);
    if (entry) this.#entries.set(seq, fold(entry, change));
  }

  #place(seq: number): void {
    const list = this.#shown;
    const last = list[list.length - 1];
    if (last === undefined || seq > last) {
      list.push(seq);
      return;
    }
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle] ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    list.splice(low, 0, seq);
  }
}
