// A reader's view of a conversation, from events in any mixture of pages and live batches. As sequence/src/timeline.rs,
// with the lines of a screen kept in order. Each event costs the same, however long the conversation is.
import type { Entry } from "./entry.js";
import { fold, targetOf } from "./fold.js";
import { Entries, type EntryList } from "./list.js";

/** What is known to have happened to one comment: enough to fold it, and its edits, whenever they come. */
interface Changes {
  /** The edit with the highest version: the only one that may still show words. */
  edit: Entry | undefined;
  /** The edit whose words the comment has: the highest that was not emptied on its way. */
  words: Entry | undefined;
  gone: Entry | undefined;
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
    const target = targetOf(incoming);
    const entry = target === 0 ? this.#folded(incoming, this.#changes.get(incoming.seq)) : this.#change(target, incoming);
    this.#set(entry);
    this.#newest = Math.max(this.#newest, entry.seq);
    this.#version += 1;
    this.#shown = undefined;
  }

  /** Every entry, by seq. */
  entries(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.seq - b.seq);
  }

  /** What a screen shows a line for, by seq: comments (those taken back keep their place) and changes of the
   * consultation. A list that can be held on to; cheap to ask for at every frame. */
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

  /** An edit, recall or hide: it acts on its comment and on the edits before it, and they on it. */
  #change(target: number, change: Entry): Entry {
    let changes = this.#changes.get(target);
    if (!changes) this.#changes.set(target, (changes = { edit: undefined, words: undefined, gone: undefined }));
    this.#refold(target, change);
    if (changes.edit) this.#refold(changes.edit.seq, change);
    const entry = this.#folded(change, changes);
    if (entry.kind.case === "edit") {
      const { version, text } = entry.kind;
      if (version >= versionOf(changes.edit)) changes.edit = entry;
      if (text !== "" && version >= versionOf(changes.words)) changes.words = entry;
    } else {
      if (!changes.gone || (entry.kind.case === "recall" && changes.gone.kind.case === "hide")) changes.gone = entry;
      // Its words are nowhere any more.
      changes.words = undefined;
      if (changes.edit) changes.edit = this.#entries.get(changes.edit.seq) ?? fold(changes.edit, entry);
    }
    return entry;
  }

  #folded(entry: Entry, changes: Changes | undefined): Entry {
    let folded = entry;
    for (const change of [changes?.words, changes?.edit, changes?.gone]) if (change) folded = fold(folded, change);
    return folded;
  }

  #refold(seq: number, change: Entry): void {
    const entry = this.#entries.get(seq);
    if (!entry) return;
    const folded = fold(entry, change);
    if (folded !== entry) this.#set(folded);
  }

  #set(entry: Entry): void {
    this.#entries.set(entry.seq, entry);
    if (entry.kind.case === "comment" || entry.kind.case === "consultationChanged") this.#lines.set(entry);
  }
}

function versionOf(edit: Entry | undefined): number {
  return edit?.kind.case === "edit" ? edit.kind.version : 0;
}
