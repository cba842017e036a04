// One person's choice in a poll; a later one of the same person takes its place.
import type { KindRules, PostRules } from "./rules.js";

export interface Vote {
  case: "vote";
  /** seq of the poll. */
  target: number;
  /** The number of the option, from 0. */
  option: number;
}

export const vote: KindRules<Vote> & PostRules<Vote> = {
  case: "vote",
  decode: ({ target, option }) => ({ case: "vote", target: Number(target), option }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  encodePost: ({ target, option }) => ({ case: "vote", value: { target: BigInt(target), option } }),
};
