// Another text for a comment.
import type { KindRules, PostRules } from "./rules.js";

export interface Edit {
  case: "edit";
  target: number;
  /** Counts the edits of its target, from 1. */
  version: number;
  /** Empty where a later change of the target replaced it. */
  text: string;
}
export type EditPost = Pick<Edit, "case" | "target" | "text">;

export const edit: KindRules<Edit> & PostRules<EditPost> = {
  case: "edit",
  decode: ({ target, version, text }) => ({ case: "edit", target: Number(target), version, text }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  rewrite: ({ version, text }) => ({ to: "text", version, text }),
  clearText: (kind) => (kind.text === "" ? kind : { ...kind, text: "" }),
  encodePost: ({ target, text }) => ({ case: "edit", value: { target: BigInt(target), text } }),
};
