// No more votes are taken in a poll.
import type { KindRules, PostRules } from "./rules.js";

export interface PollClosed {
  case: "pollClosed";
  /** seq of the poll. */
  target: number;
}

export const pollClosed: KindRules<PollClosed> & PostRules<PollClosed> = {
  case: "pollClosed",
  decode: ({ target }) => ({ case: "pollClosed", target: Number(target) }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  encodePost: ({ target }) => ({ case: "pollClosed", value: { target: BigInt(target) } }),
};
