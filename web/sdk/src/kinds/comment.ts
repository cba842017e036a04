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
}
export type CommentPost = Pick<Comment, "case" | "text" | "replyTo">;

function decodeGone(stone: Tombstone | undefined): { gone: Gone } | Record<never, never> {
  return stone ? { gone: { why: stone.why, by: stone.by, reason: stone.reason } } : {};
}

export const comment: KindRules<Comment> & PostRules<CommentPost> = {
  case: "comment",
  decode: ({ text, replyTo, version, gone }) => ({ case: "comment", text, replyTo: Number(replyTo), version, ...decodeGone(gone) }),
  countsAsUnread: true,
  drawsRow: true,
  encodePost: ({ text, replyTo }) => ({ case: "comment", value: { text, replyTo: BigInt(replyTo) } }),
};

export function isComment(held: LogEntry): held is LogEntry<Comment> {
  return held.kind.case === "comment";
}

/** A comment taken away, for what changes it; anything else as it is. */
export function removeComment(target: LogEntry, gone: Gone): LogEntry {
  if (!isComment(target)) return target;
  const before = target.kind.gone;
  // What its author took back is told so, though a moderator hid it too.
  const stands = !before || (gone.why === Why.RECALLED && before.why === Why.HIDDEN);
  // Nothing of what it was is left, its number of edits included: so no order of events can show.
  const kind: Comment = { ...target.kind, gone, text: "", version: 0 };
  return stands ? { ...target, kind } : target;
}
