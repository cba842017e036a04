// A question to everybody who may post, with one choice each. What was chosen stands in its marks (MarkKind.VOTE, the number
// of the option), and that it has ended (MarkKind.CLOSED).
import type { KindRules, PostRules } from "./rules.js";

export interface Poll {
  case: "poll";
  /** 1 to 200 characters. */
  question: string;
  /** 2 to 10, each of 1 to 80 characters, no two alike. */
  options: string[];
}

export const poll: KindRules<Poll> & PostRules<Poll> = {
  case: "poll",
  decode: ({ question, options }) => ({ case: "poll", question, options }),
  countsAsUnread: true,
  drawsRow: true,
  encodePost: ({ question, options }) => ({ case: "poll", value: { question, options } }),
};
