// What one kind of event is to whoever reads a log. A kind is one file in this folder and one line in index.ts; the
// fold, the timeline, the follower and the outbox ask it and know no kind by name, but for the comment that others rewrite.
import type { ConsultationState, Event, Post, Tombstone_Why as Why } from "../gen/event_pb.js";
import type { MarkSet, Marks } from "../marks.js";

type WireCase = NonNullable<Event["kind"]["case"]>;
type PostCase = NonNullable<Post["content"]["case"]>;
export type WireValue<C> = Extract<Event["kind"], { case: C }>["value"];
/** What only the server sets. */
type Unposted = "$typeName" | "$unknown" | "version" | "restored";
/** The content of a post on the wire, as it is given to a frame. */
export type WirePost = { [C in PostCase]: { case: C; value: Omit<Extract<Post["content"], { case: C }>["value"], Unposted> } }[PostCase];

/** An event as a client holds it: numbers, never changed, only replaced. */
export interface LogEntry<K extends { case: string } = { case: string }> {
  seq: number;
  /** Counts only the events that make something unread. */
  mseq: number;
  /** Milliseconds since 1970, by the database's clock. */
  timeMs: number;
  /** 0: the service itself. */
  author: number;
  kind: K;
  /** What later events left on it, of whatever kind they are, summed up. Absent: nothing. */
  marks?: Marks;
  /** The mark that it leaves on an earlier event. */
  leaves?: MarkSet;
}

/** What the log itself says of who may post, and how often. */
export interface RoomRules {
  state: ConsultationState;
  version: number;
  /** Between two comments of one person, seconds; 0: no bound. */
  slowModeS: number;
}

/** How an event changes the text of its target. */
export type Rewrite =
  /** A newer text: the highest version wins. `text` is empty where it was dropped since. */
  | { to: "text"; version: number; text: string }
  /** Taken away. */
  | { to: "gone"; why: Why; reason: string }
  /** Given back, unless its author recalled it. `text` is empty where it was dropped since. */
  | { to: "restored"; version: number; text: string };

/** All functions are pure. */
export interface KindRules<K extends { case: string }> {
  readonly case: K["case"];
  decode(value: WireValue<K["case"] & WireCase>): K;
  /** It makes something unread for everybody but its author. */
  readonly countsAsUnread: boolean;
  /** A list of the conversation has a row for it. */
  readonly drawsRow: boolean;
  /** seq of the event that it acts on. Absent: it acts on none. */
  findTarget?(kind: K): number;
  /** How it changes the text of its target. Absent: it leaves a mark at most. */
  rewrite?(kind: K): Rewrite;
  /** Itself without the text of its target that it carries, once a later event replaced that text or took it away. The same
   * object where there is none. */
  clearText?(kind: K): K;
  /** What it says of the rules of the conversation. */
  roomRules?(kind: K): RoomRules;
}

/** A kind that people post: `P` is what they give. */
export interface PostRules<P extends { case: string }> {
  encodePost(content: P): WirePost;
}
