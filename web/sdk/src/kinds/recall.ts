// A comment taken back by its author, for good.
import { Why } from "./comment.js";
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
  rewrite: ({ reason }) => ({ to: "gone", why: Why.RECALLED, reason }),
  encodePost: ({ target, reason }) => ({ case: "recall", value: { target: BigInt(target), reason } }),
};
