// What subjects add to rooms. A room knows the kinds of its rows, what can be done with a comment and what can be begun in
// it from here alone; a subject registers its parts once, when the page starts.
import type { Entry, Kind, PostContent } from "@yitang/sdk";
import type { Component } from "vue";
import type { IconName } from "../kit/Icon.vue";

/** A room, for the parts of a subject that stand in it. */
export interface RoomContext {
  conversation: string;
  mayPost: boolean;
  mayModerate: boolean;
  /** It is its members' own, not of an organisation that invites. */
  hasMembers: boolean;
  /** Posts, and tells the person where it is refused. Done when it is in the log, held or refused. */
  post(content: PostContent): Promise<void>;
}
export interface CommentContext extends RoomContext {
  entry: Entry;
  isMine: boolean;
}

/** The row of an event. */
export interface EventRow {
  key: string;
  seq: number;
  kind: "comment" | "event";
  /** As later events left it. */
  entry: Entry;
  /** What the kind's reader made of it; plain values, for rows are kept on the device. */
  shown?: object;
}
/** The list, for its rows. Each function follows what changes, in a template or a computed. */
export interface ListContext {
  room: RoomContext;
  isMine(entry: Entry): boolean;
  isModerator(person: number): boolean;
  /** The row that the keyboard is on: only its buttons are stops of Tab. */
  isActive(seq: number): boolean;
  /** It was looked for, and is shown for a while. */
  isFound(seq: number): boolean;
  /** A long text is shown in full. */
  isUnfolded(seq: number): boolean;
  /** The comment that this one answers; empty: it is not held. */
  quoteOf(entry: Entry): { name: string; text: string };
}

/** How events of one kind stand in the list. */
export interface RowKind {
  /** Gets `row` (EventRow) and `list` (ListContext). Its element passes from row to row, so it holds nothing of its own. What
   * is pressed in it has `data-act`, in an element with `data-seq`: see `acts`. */
  component: Component;
  /** Made for each log that is read from its beginning; gets the conversation's id. What it gives is called with each event of this kind, in their order,
   * and says what the row shows beside the event; undefined: this event has no row. Absent: each has a row. */
  createReader?: (conversation: string) => (entry: Entry) => object | undefined;
  /** The arrow keys stop there. */
  takesFocus?: boolean;
  /** What a screen reader is told when one comes. Absent: nothing. */
  announce?: (entry: Entry) => string;
  /** What a press on `data-act` does, by its name. */
  acts?: Record<string, (entry: Entry, room: RoomContext) => void>;
}

/** What may be done with a comment, in the sheet of its actions: at once (`run`), or asked for there (`form`). */
export interface CommentAction {
  label(): string;
  isOffered(comment: CommentContext): boolean;
  isDanger?: boolean;
  run?(comment: CommentContext): Promise<void> | void;
  /** Gets `comment` (CommentContext), emits `done`. */
  form?: Component;
}
/** What may be begun in a room, in the sheet of what one does with it. */
export interface RoomAction {
  icon: IconName;
  label(): string;
  isOffered(room: RoomContext): boolean;
  /** Gets `room` (RoomContext), emits `done`. */
  component: Component;
}

export interface RoomParts {
  rows?: { [C in Kind["case"]]?: RowKind };
  commentActions?: CommentAction[];
  roomActions?: RoomAction[];
  /** Sections of the page where a room is managed. Each gets `conversation` (its id) and `closesMs` (0: no time is set). */
  management?: Component[];
}

const rows = new Map<string, RowKind>();
export const commentActions: CommentAction[] = [];
export const roomActions: RoomAction[] = [];
export const management: Component[] = [];

/** Throws where a kind has a row already: two subjects would draw the same event. */
export function registerRoomParts(parts: RoomParts): void {
  for (const [kind, row] of Object.entries(parts.rows ?? {})) {
    if (rows.has(kind)) throw new Error(`rows of ${kind} are registered twice`);
    rows.set(kind, row);
  }
  commentActions.push(...(parts.commentActions ?? []));
  roomActions.push(...(parts.roomActions ?? []));
  management.push(...(parts.management ?? []));
}

/** How events of this kind stand in the list; undefined: they have no row. */
export function rowKindOf(kind: string): RowKind | undefined {
  return rows.get(kind);
}
