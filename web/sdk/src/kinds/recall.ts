// A comment taken back by its author.
import { Why, removeComment } from "./comment.js";
import type { KindRules, PostRules } from "./rules.js";

export interface Recall {
  case: "recall";
  target: number;
  reason: string;
}

export const recall: KindRules<Recall> & PostRules<Recall> = {
  case: "recall",
  decode: ({ target, reason }) => ({ case: "recall", target: Number(target), reason }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  removesTarget: true,
  changeTarget: (target, { author, kind }) => removeComment(target, { why: Why.RECALLED, by: author, reason: kind.reason }),
  // What its author took back is told so, though a moderator hid it too.
  outranks: (held) => held.kind.case !== "recall",
  encodePost: ({ target, reason }) => ({ case: "recall", value: { target: BigInt(target), reason } }),
};
