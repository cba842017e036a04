// The list of kinds. A new kind of event: its file here, and its line in LIST.
import type { Event } from "../gen/event_pb.js";
import { comment } from "./comment.js";
import { consultationChanged } from "./consultation_changed.js";
import { conversationCreated } from "./conversation_created.js";
import { edit } from "./edit.js";
import { hide } from "./hide.js";
import { membersChanged } from "./members_changed.js";
import { recall } from "./recall.js";
import type { LogEntry, KindRules, PostRules, WirePost } from "./rules.js";

const LIST = [comment, edit, recall, hide, consultationChanged, membersChanged, conversationCreated] as const;

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
/** seq of the event that it changes; 0: it changes none. */
export function findTarget(held: LogEntry): number {
  return findRules(held.kind).findTarget?.(held.kind) ?? 0;
}
/** Whether it takes its target away. */
export function removesTarget(held: LogEntry): boolean {
  return findRules(held.kind).removesTarget ?? false;
}
export function changeTarget(target: LogEntry, change: LogEntry): LogEntry {
  return findRules(change.kind).changeTarget?.(target, change) ?? target;
}
export function applyOther(own: LogEntry, other: LogEntry): LogEntry {
  return findRules(own.kind).applyOther?.(own, other, removesTarget(other)) ?? own;
}
/** Whether `change` stands against `held`, where both take the same target away. */
export function outranks(change: LogEntry, held: LogEntry): boolean {
  return findRules(change.kind).outranks?.(held) ?? false;
}
export function keepChanges(held: LogEntry[], change: LogEntry): LogEntry[] {
  return findRules(change.kind).keepChanges?.(held, change) ?? [...held, change];
}
export function findRoomRules(held: LogEntry) {
  return findRules(held.kind).roomRules?.(held.kind);
}
