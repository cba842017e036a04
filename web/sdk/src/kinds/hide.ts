// A comment hidden by a moderator.
import { Why } from "./comment.js";
import type { KindRules, PostRules } from "./rules.js";

export interface Hide {
  case: "hide";
  target: number;
  /** Shown to everybody; may be empty. */
  reason: string;
}

export const hide: KindRules<Hide> & PostRules<Hide> = {
  case: "hide",
  decode: ({ target, reason }) => ({ case: "hide", target: Number(target), reason }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  rewrite: ({ reason }) => ({ to: "gone", why: Why.HIDDEN, reason }),
  encodePost: ({ target, reason }) => ({ case: "hide", value: { target: BigInt(target), reason } }),
};
