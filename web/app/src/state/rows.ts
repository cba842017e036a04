// The lines of a room's list, from the timeline and the outbox. Pure.
import { ConsultationState, type Entry, type Outgoing } from "@yitang/sdk";

export type Row =
  | { key: string; kind: "comment"; entry: Entry }
  | { key: string; kind: "state"; entry: Entry; state: ConsultationState; resumed: boolean }
  | { key: string; kind: "time"; timeMs: number }
  | { key: string; kind: "unread" }
  | { key: string; kind: "start" }
  | { key: string; kind: "outgoing"; post: Outgoing };

/** A pause in the conversation after which the time is told. */
const PAUSE_MS = 5 * 60_000;

export interface RowsInput {
  entries: Entry[];
  outgoing: Outgoing[];
  me: number;
  /** The line "unread from here" stands before the first comment above this mseq; 0: no line. */
  unreadAfter: number;
  /** The room's head when a post was written, by client_id: a post's event can only stand above it. */
  writtenAt: ReadonlyMap<string, number>;
  /** Nothing stands before the first entry. */
  completeBefore: boolean;
}

export function rowsOf({ entries, outgoing, me, unreadAfter, writtenAt, completeBefore }: RowsInput): Row[] {
  const rows: Row[] = [];
  if (completeBefore && entries.length > 0) rows.push({ key: "start", kind: "start" });
  let before = 0;
  let state: ConsultationState | undefined;
  let unreadTold = unreadAfter === 0;
  for (const entry of entries) {
    if (entry.kind.case === "consultationChanged") {
      const now = entry.kind.state;
      // A change of rules alone is no line.
      if (now !== state && now !== ConsultationState.DRAFT && now !== ConsultationState.SCHEDULED) {
        const resumed = state === ConsultationState.PAUSED && now === ConsultationState.OPEN;
        rows.push({ key: `s${entry.seq}`, kind: "state", entry, state: now, resumed });
        before = entry.timeMs;
      }
      state = now;
      continue;
    }
    if (!unreadTold && entry.mseq > unreadAfter && entry.author !== me) {
      unreadTold = true;
      if (rows.length > 0) rows.push({ key: "unread", kind: "unread" });
    }
    if (entry.timeMs - before > PAUSE_MS) rows.push({ key: `t${entry.seq}`, kind: "time", timeMs: entry.timeMs });
    before = entry.timeMs;
    rows.push({ key: `c${entry.seq}`, kind: "comment", entry });
  }
  for (const post of unseenOf(entries, outgoing, me, writtenAt)) rows.push({ key: `o${post.clientId}`, kind: "outgoing", post });
  return rows;
}

/** Posts that have no event in the list yet. An event may come before its receipt: then it is told by author and text,
 * each event for one post only, and never by an event from before the post was written. */
function unseenOf(entries: Entry[], outgoing: Outgoing[], me: number, writtenAt: ReadonlyMap<string, number>): Outgoing[] {
  const comments = outgoing.filter((post) => post.content.case === "comment");
  if (comments.length === 0) return comments;
  const taken = new Set<number>();
  const mine: Entry[] = [];
  for (let index = entries.length - 1; index >= 0 && entries.length - index <= 500; index -= 1) {
    const entry = entries[index];
    if (entry?.author === me && entry.kind.case === "comment") mine.unshift(entry);
  }
  return comments.filter((post) => {
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
}

/** Pieces of a text: links are made here, from text, and lead to the web only. */
export type Piece = { text: string; href?: string };
const LINK = /https?:\/\/[^\s<>"'，。；！？、（）【】《》“”]+/giu;

export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const found of text.matchAll(LINK)) {
    const href = found[0].replace(/[).,;:!?]+$/, "");
    if (found.index > end) pieces.push({ text: text.slice(end, found.index) });
    pieces.push({ text: href, href });
    end = found.index + href.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}
