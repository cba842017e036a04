// Another text for a comment.
import { isComment } from "./comment.js";
import type { LogEntry, KindRules, PostRules } from "./rules.js";

export interface Edit {
  case: "edit";
  target: number;
  /** Counts the edits of its target, from 1. */
  version: number;
  /** Empty where a later change of the target replaced it. */
  text: string;
}
export type EditPost = Pick<Edit, "case" | "target" | "text">;

function isEdit(held: LogEntry): held is LogEntry<Edit> {
  return held.kind.case === "edit";
}

export const edit: KindRules<Edit> & PostRules<EditPost> = {
  case: "edit",
  decode: ({ target, version, text }) => ({ case: "edit", target: Number(target), version, text }),
  countsAsUnread: false,
  drawsRow: false,
  findTarget: (kind) => kind.target,
  changeTarget(target, { kind: { version, text } }) {
    if (!isComment(target) || target.kind.gone || version <= target.kind.version || text === "") return target;
    return { ...target, kind: { ...target.kind, version, text } };
  },
  // One that was itself replaced, or whose comment was taken away, keeps its place but not its words.
  applyOther(own, other, isRemoval) {
    const isReplaced = isRemoval || (isEdit(other) && other.kind.version > own.kind.version);
    return isReplaced && own.kind.text !== "" ? { ...own, kind: { ...own.kind, text: "" } } : own;
  },
  // The newest, which alone may still show words; and the newest that was not emptied on its way, whose words the comment
  // has until those of the newest come.
  keepChanges(held, change) {
    let newest = change;
    let worded = change.kind.text === "" ? undefined : change;
    for (const one of held) {
      if (!isEdit(one)) continue;
      if (one.kind.version > newest.kind.version) newest = one;
      if (one.kind.text !== "" && one.kind.version > (worded?.kind.version ?? 0)) worded = one;
    }
    const others = held.filter((one) => !isEdit(one));
    return worded && worded !== newest ? [...others, worded, newest] : [...others, newest];
  },
  encodePost: ({ target, text }) => ({ case: "edit", value: { target: BigInt(target), text } }),
};
