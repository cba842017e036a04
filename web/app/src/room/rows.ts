// The lines of a room's list, from the log and the outbox. Pure. Plain objects in a plain array: a list of tens of
// thousands is brought up to date by what is new, not made again.
import { type Entry, type Outgoing, countsAsUnread, findTarget } from "@yitang/sdk";
import type { EventRow, RowKind } from "./parts";

export type Row =
  | EventRow
  | { key: string; seq: number; kind: "day"; timeMs: number }
  | { key: string; seq: number; kind: "time"; timeMs: number }
  | { key: string; seq: number; kind: "unread" }
  | { key: string; seq: number; kind: "start" }
  | { key: string; seq: number; kind: "outgoing"; post: Outgoing };

/** What stands between events. */
export type Line = Exclude<Row, EventRow | { kind: "outgoing" }>;

export function isEventRow(row: Row | undefined): row is EventRow {
  return row?.kind === "comment" || row?.kind === "event";
}

/** A pause in the conversation after which the time is told. */
const PAUSE_MS = 5 * 60_000;

/** The index of the row of the event with this seq; -1: there is none. */
export function rowIndex(rows: Row[], seq: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (!row) return -1;
    if (row.seq === seq && isEventRow(row)) return middle;
    // Lines that stand before an event have its seq.
    if (row.seq <= seq) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** How many rows of `before` stood in front of the first event that `now` has, and are gone. */
export function countGone(before: Row[], now: Row[]): number {
  const first = now.findIndex(isEventRow);
  const row = now[first];
  return row ? Math.max(0, rowIndex(before, row.seq) - first) : 0;
}

/** What is held of a log: every event from `oldest` to `delivered`. */
export interface Log {
  epoch: number;
  oldest: number;
  delivered: number;
  completeBefore: boolean;
  get(seq: number): Entry | undefined;
}

export class RowBook {
  rows: Row[] = [];
  #epoch = 0;
  #oldest = 0;
  #newest = 0;
  #completeBefore = false;
  #lastMs = 0;
  #dayStart = 0;
  #dayEnd = 0;
  readonly #readers = new Map<string, (entry: Entry) => object | undefined>();
  #hasUnreadLine: boolean;

  /** The line "unread from here" stands before the first event of another that counts as unread, above `unreadAfter` (an
   * mseq); 0: no line. `kindOf`: how events of a kind stand in the list; undefined: they have no row. */
  constructor(
    private readonly conversation: string,
    private readonly me: number,
    private readonly unreadAfter: number,
    private readonly kindOf: (kind: string) => Pick<RowKind, "createReader"> | undefined,
  ) {
    this.#hasUnreadLine = unreadAfter === 0;
  }

  /** Brings the rows up to date; says whether anything changed. */
  update(log: Log): boolean {
    const isOurs = log.epoch === this.#epoch && log.delivered >= this.#newest && this.#newest > 0;
    const isTrimmed = isOurs && log.oldest > this.#oldest && log.oldest <= this.#newest;
    if (isTrimmed) this.#dropOldest(log);
    const goesOn = isOurs && log.oldest === this.#oldest;
    if (!goesOn || log.completeBefore !== this.#completeBefore) {
      this.#restart(log);
      this.#read(log, log.oldest);
      return true;
    }
    if (log.delivered === this.#newest) return isTrimmed;
    this.#read(log, this.#newest + 1);
    return true;
  }

  indexOf(seq: number): number {
    return rowIndex(this.rows, seq);
  }

  /** The first comment for which this holds. */
  first(holds: (entry: Entry) => boolean): Entry | undefined {
    for (const row of this.rows) if (row.kind === "comment" && holds(row.entry)) return row.entry;
    return undefined;
  }

  #restart(log: Log): void {
    this.rows = [];
    this.#epoch = log.epoch;
    this.#oldest = log.oldest;
    this.#completeBefore = log.completeBefore;
    this.#lastMs = this.#dayStart = this.#dayEnd = 0;
    this.#readers.clear();
    this.#hasUnreadLine = this.unreadAfter === 0;
    if (log.completeBefore && log.delivered >= log.oldest) this.rows.push({ key: "start", seq: 0, kind: "start" });
  }

  /** The oldest are not held any more. */
  #dropOldest(log: Log): void {
    const first = this.rows.findIndex((row) => row.seq >= log.oldest);
    this.rows.splice(0, first < 0 ? this.rows.length : first);
    this.#oldest = log.oldest;
    this.#completeBefore = log.completeBefore;
  }

  #read(log: Log, from: number): void {
    for (let seq = from; seq <= log.delivered; seq += 1) {
      const entry = log.get(seq);
      if (entry) this.#add(log, entry);
    }
    this.#newest = log.delivered;
  }

  #add(log: Log, entry: Entry): void {
    const kind = this.kindOf(entry.kind.case);
    if (kind) this.#addRow(entry, kind);
    const target = findTarget(entry);
    if (target === 0) return;
    const index = this.indexOf(target);
    const row = this.rows[index];
    const now = log.get(target);
    if (isEventRow(row) && now) this.rows[index] = { ...row, entry: now };
  }

  #addRow(entry: Entry, kind: Pick<RowKind, "createReader">): void {
    const { seq, timeMs } = entry;
    const shown = this.#readEvent(entry, kind);
    if (shown === undefined) return;
    const isUnread = countsAsUnread(entry);
    if (isUnread && !this.#hasUnreadLine && entry.mseq > this.unreadAfter && entry.author !== this.me) {
      this.#hasUnreadLine = true;
      if (this.rows.length > 0) this.rows.push({ key: "unread", seq, kind: "unread" });
    }
    if (!this.#addDay(entry) && isUnread && timeMs - this.#lastMs > PAUSE_MS) this.rows.push({ key: `t${seq}`, seq, kind: "time", timeMs });
    this.#lastMs = timeMs;
    if (entry.kind.case === "comment") this.rows.push({ key: `c${seq}`, seq, kind: "comment", entry });
    else this.rows.push({ key: `e${seq}`, seq, kind: "event", entry, shown });
  }

  /** What its kind makes of it; undefined: it has no row. */
  #readEvent(entry: Entry, { createReader }: Pick<RowKind, "createReader">): object | undefined {
    if (!createReader) return {};
    const kind = entry.kind.case;
    let reader = this.#readers.get(kind);
    if (!reader) this.#readers.set(kind, (reader = createReader(this.conversation)));
    return reader(entry);
  }

  /** The day, where another begins. */
  #addDay({ seq, timeMs }: Entry): boolean {
    if (timeMs >= this.#dayStart && timeMs < this.#dayEnd) return false;
    const day = new Date(timeMs);
    this.#dayStart = day.setHours(0, 0, 0, 0);
    this.#dayEnd = day.setDate(day.getDate() + 1);
    this.rows.push({ key: `d${seq}`, seq, kind: "day", timeMs });
    return true;
  }
}

/** How many rows from the end an event is looked for that a post of mine may have become. */
const SEARCHED_MOST = 500;

/** Rows of the posts that have no event among `rows` yet. An event may come before its receipt: then it is told by
 * author and text, each event for one post only, and never by an event from before the post was written.
 * `writtenAt`: the room's head when a post was written, by client_id. */
export function outgoingRows(rows: Row[], outgoing: Outgoing[], me: number, writtenAt: ReadonlyMap<string, number>): Row[] {
  const comments = outgoing.filter((post) => post.content.case === "comment");
  if (comments.length === 0) return [];
  const taken = new Set<number>();
  const mine: Entry[] = [];
  for (let index = rows.length - 1; index >= 0 && rows.length - index <= SEARCHED_MOST; index -= 1) {
    const row = rows[index];
    if (row?.kind === "comment" && row.entry.author === me) mine.unshift(row.entry);
  }
  const unseen = comments.filter((post) => {
    if (post.content.case !== "comment" || post.state === "refused") return true;
    const { text, replyTo } = post.content;
    const written = writtenAt.get(post.clientId);
    const match = mine.find((entry) => {
      if (taken.has(entry.seq) || entry.kind.case !== "comment") return false;
      if (post.seq > 0) return entry.seq === post.seq;
      if (written === undefined || entry.seq <= written || entry.kind.gone) return false;
      return entry.kind.replyTo === replyTo && entry.kind.text.trim() === text.trim();
    });
    if (match) taken.add(match.seq);
    return !match;
  });
  return unseen.map((post) => ({ key: `o${post.clientId}`, seq: Number.MAX_SAFE_INTEGER, kind: "outgoing", post }));
}
