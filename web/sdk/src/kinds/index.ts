// The list of kinds. A new kind of event: its file here, and its line in LIST.
import type { Event } from "../gen/event_pb.js";
import { comment } from "./comment.js";
import { consultationChanged } from "./consultation_changed.js";
import { conversationCreated } from "./conversation_created.js";
import { edit } from "./edit.js";
import { hide } from "./hide.js";
import { membersChanged } from "./members_changed.js";
import { poll } from "./poll.js";
import { pollClosed } from "./poll_closed.js";
import { recall } from "./recall.js";
import type { LogEntry, KindRules, PostRules, Rewrite, WirePost } from "./rules.js";
import { unhide } from "./unhide.js";
import { vote } from "./vote.js";

const LIST = [comment, edit, recall, hide, unhide, poll, vote, pollClosed, consultationChanged, membersChanged, conversationCreated] as const;

type Listed = (typeof LIST)[number];
type KindOf<R> = R extends KindRules<infer K> ? K : never;
type PostOf<R> = R extends PostRules<infer P> ? P : never;
/** Of a later version of the contract: it keeps its place and shows nothing. */
export interface Unknown {
  case: "unknown";
}

export type Kind = KindOf<Listed> | Unknown;
/** What people post. */
export type PostContent = PostOf<Listed>;

const unknown: KindRules<Unknown> = { case: "unknown", decode: () => ({ case: "unknown" }), countsAsUnread: false, drawsRow: false };
const RULES = new Map<string | undefined, KindRules<never>>(LIST.map((rules) => [rules.case, rules as unknown as KindRules<never>]));

function findRules(kind: { case: string | undefined }): KindRules<{ case: string }> {
  return (RULES.get(kind.case) ?? unknown) as unknown as KindRules<{ case: string }>;
}

export function decodeKind(wire: Event["kind"]): Kind {
  return findRules({ case: wire.case }).decode(wire.value as never) as Kind;
}

export function encodePost(content: PostContent): WirePost {
  return (findRules(content) as unknown as PostRules<PostContent>).encodePost(content);
}

/** Whether a list of the conversation has a row for it. */
export function drawsRow(held: LogEntry): boolean {
  return findRules(held.kind).drawsRow;
}
/** Whether it makes something unread for everybody but its author. */
export function countsAsUnread(held: LogEntry): boolean {
  return findRules(held.kind).countsAsUnread;
}
/** seq of the event that it acts on: changes its text or leaves a mark on it; 0: on none. */
export function findTarget(held: LogEntry): number {
  // A kind that this program does not know yet still tells what it leaves.
  return findRules(held.kind).findTarget?.(held.kind) ?? held.leaves?.target ?? 0;
}
/** How it changes the text of its target; undefined: not at all. */
export function findRewrite(held: LogEntry): Rewrite | undefined {
  return findRules(held.kind).rewrite?.(held.kind);
}
/** Itself without the text of its target that it carries; the same object where there is none. */
export function clearText<E extends LogEntry>(held: E): E {
  const kind = findRules(held.kind).clearText?.(held.kind) ?? held.kind;
  return kind === held.kind ? held : { ...held, kind };
}
export function findRoomRules(held: LogEntry) {
  return findRules(held.kind).roomRules?.(held.kind);
}
