// The lines of a room's list, from the log and the outbox. Pure. Plain objects in a plain array: a list of tens of
// thousands is brought up to date by what is new, not made again.
import { ConsultationState, type Entry, type Outgoing, targetOf } from "@yitang/sdk";

export type Row =
  | { key: string; seq: number; kind: "comment"; entry: Entry }
  | { key: string; seq: number; kind: "state"; entry: Entry; state: ConsultationState; resumed: boolean }
  | { key: string; seq: number; kind: "day"; timeMs: number }
  | { key: string; seq: number; kind: "time"; timeMs: number }
  | { key: string; seq: number; kind: "unread" }
  | { key: string; seq: number; kind: "start" }
  | { key: string; seq: number; kind: "outgoing"; post: Outgoing };

/** What stands between comments. */
export type Line = Exclude<Row, { kind: "comment" | "outgoing" }>;

/** A pause in the conversation after which the time is told. */
const PAUSE_MS = 5 * 60_000;

/** The index of the row of this comment; -1: it is not held. */
export function rowIndex(rows: Row[], seq: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (!row) return -1;
    if (row.seq === seq && row.kind === "comment") return middle;
    // Lines that stand before a comment have its seq.
    if (row.seq < seq || (row.seq === seq && row.kind !== "state")) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** How many rows of `before` stood in front of the first comment that `now` has, and are gone. */
export function goneBefore(before: Row[], now: Row[]): number {
  const first = now.findIndex((row) => row.kind === "comment");
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
  #before = 0;
  #dayStart = 0;
  #dayEnd = 0;
  #state: ConsultationState | undefined;
  #unreadTold: boolean;

  /** The line "unread from here" stands before the first comment of another above `unreadAfter` (an mseq); 0: no line. */
  constructor(
    private readonly me: number,
    private readonly unreadAfter: number,
  ) {
    this.#unreadTold = unreadAfter === 0;
  }

  /** Brings the rows up to date; says whether anything changed. */
  take(log: Log): boolean {
    const isOurs = log.epoch === this.#epoch && log.delivered >= this.#newest && this.#newest > 0;
    const isTrimmed = isOurs && log.oldest > this.#oldest && log.oldest <= this.#newest;
    if (isTrimmed) this.#forget(log);
    const goesOn = isOurs && log.oldest === this.#oldest;
    if (!goesOn || log.completeBefore !== this.#completeBefore) {
      this.#startAnew(log);
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

  #startAnew(log: Log): void {
    this.rows = [];
    this.#epoch = log.epoch;
    this.#oldest = log.oldest;
    this.#completeBefore = log.completeBefore;
    this.#before = this.#dayStart = this.#dayEnd = 0;
    this.#state = undefined;
    this.#unreadTold = this.unreadAfter === 0;
    if (log.completeBefore && log.delivered >= log.oldest) this.rows.push({ key: "start", seq: 0, kind: "start" });
  }

  /** The oldest are not held any more. */
  #forget(log: Log): void {
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
    const { kind } = entry;
    if (kind.case === "comment") return this.#addComment(entry);
    if (kind.case === "consultationChanged") return this.#addState(entry, kind.state);
    const target = targetOf(entry);
    if (target === 0) return;
    const index = this.indexOf(target);
    const now = log.get(target);
    if (index >= 0 && now) this.rows[index] = { key: `c${target}`, seq: target, kind: "comment", entry: now };
  }

  #addState(entry: Entry, now: ConsultationState): void {
    // A change of rules alone is no line.
    if (now !== this.#state && now !== ConsultationState.DRAFT && now !== ConsultationState.SCHEDULED) {
      const resumed = this.#state === ConsultationState.PAUSED && now === ConsultationState.OPEN;
      this.#addDay(entry);
      this.rows.push({ key: `s${entry.seq}`, seq: entry.seq, kind: "state", entry, state: now, resumed });
      this.#before = entry.timeMs;
    }
    this.#state = now;
  }

  #addComment(entry: Entry): void {
    const { seq, timeMs } = entry;
    if (!this.#unreadTold && entry.mseq > this.unreadAfter && entry.author !== this.me) {
      this.#unreadTold = true;
      if (this.rows.length > 0) this.rows.push({ key: "unread", seq, kind: "unread" });
    }
    if (!this.#addDay(entry) && timeMs - this.#before > PAUSE_MS) this.rows.push({ key: `t${seq}`, seq, kind: "time", timeMs });
    this.#before = timeMs;
    this.rows.push({ key: `c${seq}`, seq, kind: "comment", entry });
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

/** So far back an event is looked for that a post of mine may have become. */
const LOOK_BACK = 500;

/** Rows of the posts that have no event among `rows` yet. An event may come before its receipt: then it is told by
 * author and text, each event for one post only, and never by an event from before the post was written.
 * `writtenAt`: the room's head when a post was written, by client_id. */
export function outgoingRows(rows: Row[], outgoing: Outgoing[], me: number, writtenAt: ReadonlyMap<string, number>): Row[] {
  const comments = outgoing.filter((post) => post.content.case === "comment");
  if (comments.length === 0) return [];
  const taken = new Set<number>();
  const mine: Entry[] = [];
  for (let index = rows.length - 1; index >= 0 && rows.length - index <= LOOK_BACK; index -= 1) {
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
