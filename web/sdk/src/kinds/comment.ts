// What a person said.
import type { Tombstone } from "../gen/event_pb.js";
import { Tombstone_Why as Why } from "../gen/event_pb.js";
import type { LogEntry, KindRules, PostRules } from "./rules.js";

export { Why };

/** Why a comment is not shown any more, and by whom. */
export interface Gone {
  why: Why;
  by: number;
  reason: string;
  /** seq of the event that took it away; 0: not known. */
  seq: number;
}

export interface Comment {
  case: "comment";
  /** Empty where it is gone. */
  text: string;
  /** seq of the comment that it answers; 0: none. */
  replyTo: number;
  /** How many times its text was changed. */
  version: number;
  gone?: Gone;
  /** seq of the newest event that gave it back; 0: none did. */
  restored: number;
}
export type CommentPost = Pick<Comment, "case" | "text" | "replyTo">;

function decodeGone(stone: Tombstone | undefined): { gone: Gone } | Record<never, never> {
  return stone ? { gone: { why: stone.why, by: stone.by, reason: stone.reason, seq: Number(stone.seq) } } : {};
}

export const comment: KindRules<Comment> & PostRules<CommentPost> = {
  case: "comment",
  decode: ({ text, replyTo, version, gone, restored }) => ({
    case: "comment",
    text,
    replyTo: Number(replyTo),
    version,
    restored: Number(restored),
    ...decodeGone(gone),
  }),
  countsAsUnread: true,
  drawsRow: true,
  encodePost: ({ text, replyTo }) => ({ case: "comment", value: { text, replyTo: BigInt(replyTo) } }),
};

export function isComment(held: LogEntry): held is LogEntry<Comment> {
  return held.kind.case === "comment";
}
