// A hidden comment given back by a moderator. What its author recalled stays gone.
import type { KindRules, PostRules } from "./rules.js";

export interface Unhide {
  case: "unhide";
  target: number;
  reason: string;
  /** The comment's newest text and its version; empty where a later change replaced it or took it away. */
  text: string;
  version: number;
}
export type UnhidePost = Pick<Unhide, "case" | "target" | "reason">;

export const unhide: KindRules<Unhide> & PostRules<UnhidePost> = {
  case: "unhide",
  decode: ({ target, reason, text, version }) => ({ case: "unhide", target: Number(target), reason, text, version }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  rewrite: ({ version, text }) => ({ to: "restored", version, text }),
  clearText: (kind) => (kind.text === "" ? kind : { ...kind, text: "" }),
  encodePost: ({ target, reason }) => ({ case: "unhide", value: { target: BigInt(target), reason, text: "" } }),
};
