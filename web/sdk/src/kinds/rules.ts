// What one kind of event is to whoever reads a log. A kind is one file in this folder and one line in index.ts; the
// fold, the timeline, the follower and the outbox ask it and know no kind by name.
import type { ConsultationState, Event } from "../gen/event_pb.js";
import type { Post } from "../gen/socket_pb.js";

type WireCase = NonNullable<Event["kind"]["case"]>;
type PostCase = NonNullable<Post["content"]["case"]>;
export type WireValue<C> = Extract<Event["kind"], { case: C }>["value"];
/** The content of a post on the wire, as it is given to a frame. */
export type WirePost = { [C in PostCase]: { case: C; value: Omit<Extract<Post["content"], { case: C }>["value"], "$typeName" | "$unknown" | "version"> } }[PostCase];

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
}

/** What the log itself says of who may post, and how often. */
export interface RoomRules {
  state: ConsultationState;
  version: number;
  /** Between two comments of one person, seconds; 0: no bound. */
  slowModeS: number;
}

/** All functions are pure. */
export interface KindRules<K extends { case: string }> {
  readonly case: K["case"];
  decode(value: WireValue<K["case"] & WireCase>): K;
  /** It makes something unread for everybody but its author. */
  readonly countsAsUnread: boolean;
  /** A list of the conversation has a row for it. */
  readonly drawsRow: boolean;
  /** seq of the event that it changes. Absent: it changes none. */
  findTarget?(kind: K): number;
  /** It takes its target away: what other changes of that target say is then gone too. */
  readonly removesTarget?: boolean;
  /** Its target after it; the same object where nothing changes. Applying it twice is applying it once. */
  changeTarget?(target: LogEntry, change: LogEntry<K>): LogEntry;
  /** Itself after another change of its own target; `isRemoval`: one that takes the target away. */
  applyOther?(own: LogEntry<K>, other: LogEntry, isRemoval: boolean): LogEntry<K>;
  /** Of the changes of one target that are held for it, and this new one: those that may still matter to what comes.
   * Absent: all. */
  keepChanges?(held: LogEntry[], change: LogEntry<K>): LogEntry[];
  /** Of two that take the same target away, whether this kind stands against `held`. */
  outranks?(held: LogEntry): boolean;
  /** What it says of the rules of the conversation. */
  roomRules?(kind: K): RoomRules;
}

/** A kind that people post: `P` is what they give. */
export interface PostRules<P extends { case: string }> {
  encodePost(content: P): WirePost;
}
