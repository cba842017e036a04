// A long list of entries, by seq, that a screen can hold on to while it grows: kept in chunks, and a view shares all
// chunks that have not changed since. A change copies one chunk at most, and only once after a view was taken.
import type { Entry } from "./entry.js";

const CHUNK = 256;

interface Chunk {
  entries: Entry[];
  /** A view has it: it is copied before it is changed. */
  isShared: boolean;
}

/** A list as it stood when it was asked for; it never changes. */
export class EntryList implements Iterable<Entry> {
  readonly length: number;
  readonly #chunks: readonly (readonly Entry[])[];
  /** Where each chunk starts. */
  readonly #starts: number[] = [];

  constructor(chunks: readonly (readonly Entry[])[]) {
    this.#chunks = chunks;
    let length = 0;
    for (const chunk of chunks) {
      this.#starts.push(length);
      length += chunk.length;
    }
    this.length = length;
  }

  /** The entry at an index from 0; undefined outside of the list. */
  at(index: number): Entry | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const chunk = findLastAtMost(this.#starts, index, (start) => start);
    return this.#chunks[chunk]?.[index - (this.#starts[chunk] ?? 0)];
  }

  /** The index of the first entry whose seq is not below; `length` where there is none. */
  indexOf(seq: number): number {
    const chunk = Math.max(0, findLastAtMost(this.#chunks, seq, (entries) => entries[0]?.seq ?? Infinity));
    const entries = this.#chunks[chunk] ?? [];
    return (this.#starts[chunk] ?? 0) + findLastAtMost(entries, seq - 1, (entry) => entry.seq) + 1;
  }

  /** The first index at which this list is not what `before` was; the lesser length where one is the other's start.
   * What a screen made of the entries before it can stay. */
  changedFrom(before: EntryList): number {
    for (let index = 0; index < this.#chunks.length; index += 1) {
      const now = this.#chunks[index] ?? [];
      const then = before.#chunks[index];
      if (now === then) continue;
      const start = this.#starts[index] ?? 0;
      let at = 0;
      while (then && at < now.length && at < then.length && now[at] === then[at]) at += 1;
      if (then && at === now.length && at === then.length) continue;
      return Math.min(start + at, before.length);
    }
    return this.length;
  }

  *[Symbol.iterator](): Iterator<Entry> {
    for (const chunk of this.#chunks) yield* chunk;
  }
}

const EMPTY = new EntryList([]);

/** The list itself. */
export class Entries {
  #chunks: Chunk[] = [];
  #view: EntryList | undefined = EMPTY;

  /** The list as it stands. */
  view(): EntryList {
    if (!this.#view) {
      for (const chunk of this.#chunks) chunk.isShared = true;
      this.#view = new EntryList(this.#chunks.map((chunk) => chunk.entries));
    }
    return this.#view;
  }

  /** Puts an entry at the place of its seq, over the one that stood there. */
  set(entry: Entry): void {
    this.#view = undefined;
    const last = this.#chunks[this.#chunks.length - 1];
    if (!last) {
      this.#chunks.push({ entries: [entry], isShared: false });
      return;
    }
    if (entry.seq > (last.entries[last.entries.length - 1]?.seq ?? 0) && last.entries.length >= CHUNK) {
      this.#chunks.push({ entries: [entry], isShared: false });
      return;
    }
    const index = Math.max(0, findLastAtMost(this.#chunks, entry.seq, (chunk) => chunk.entries[0]?.seq ?? Infinity));
    const entries = this.#unshare(index);
    const at = findLastAtMost(entries, entry.seq, (other) => other.seq);
    if (entries[at]?.seq === entry.seq) entries[at] = entry;
    else entries.splice(at + 1, 0, entry);
    if (entries.length > 2 * CHUNK) {
      this.#chunks.splice(index + 1, 0, { entries: entries.splice(CHUNK), isShared: false });
    }
  }

  /** Forgets what stands below a seq. */
  dropBefore(seq: number): void {
    this.#view = undefined;
    const keep = this.#chunks.findIndex((chunk) => (chunk.entries[chunk.entries.length - 1]?.seq ?? 0) >= seq);
    if (keep < 0) {
      this.#chunks = [];
      return;
    }
    this.#chunks.splice(0, keep);
    const entries = this.#unshare(0);
    entries.splice(0, findLastAtMost(entries, seq - 1, (entry) => entry.seq) + 1);
  }

  clear(): void {
    this.#chunks = [];
    this.#view = EMPTY;
  }

  #unshare(index: number): Entry[] {
    const chunk = this.#chunks[index] as Chunk;
    if (chunk.isShared) {
      chunk.entries = chunk.entries.slice();
      chunk.isShared = false;
    }
    return chunk.entries;
  }
}

/** The last index whose key is at most `most`; -1: none is. Keys ascend. */
function findLastAtMost<T>(items: readonly T[], most: number, key: (item: T) => number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(items[middle] as T) <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
