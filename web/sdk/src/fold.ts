// What later events make of the events before them. The same fold as sequence/src/fold.rs; entries are replaced, never
// changed, so that a view can compare them by identity. How a kind changes its target is the kind's to say (kinds/).
import type { Entry } from "./entry.js";
import { type Comment, type Gone, Why, isComment } from "./kinds/comment.js";
import { clearText, findRewrite, findTarget } from "./kinds/index.js";
import type { Rewrite } from "./kinds/rules.js";
import { addMark } from "./marks.js";

/** `entry` as `later` leaves it: the same object where it changes nothing. Acting twice is acting once. Several act in the
 * order of their seqs; whoever has them in another order takes a Timeline. */
export function fold(entry: Entry, later: Entry): Entry {
  return foldText(foldMark(entry, later), later);
}

function foldMark(entry: Entry, later: Entry): Entry {
  if (later.leaves?.target !== entry.seq) return entry;
  const marks = addMark(entry.marks, later.seq, later.leaves);
  return marks === entry.marks ? entry : { ...entry, marks };
}

/** The part of `fold` that is about texts. */
export function foldText(entry: Entry, later: Entry): Entry {
  const rewrite = findRewrite(later);
  if (!rewrite) return entry;
  const target = findTarget(later);
  if (entry.seq === target) {
    if (!isComment(entry)) return entry;
    const kind = rewriteComment(entry.kind, later, rewrite);
    return kind === entry.kind ? entry : { ...entry, kind };
  }
  // An earlier event about the same comment whose text was itself replaced, or taken away, keeps its place but not its words.
  if (entry.seq === later.seq || findTarget(entry) !== target) return entry;
  return dropsWords(entry, later, rewrite) ? clearText(entry) : entry;
}

function dropsWords(entry: Entry, later: Entry, rewrite: Rewrite): boolean {
  if (rewrite.to === "text") {
    const own = findRewrite(entry);
    return own !== undefined && own.to !== "gone" && rewrite.version > own.version;
  }
  if (rewrite.to === "gone" && rewrite.why === Why.RECALLED) return true;
  // What was said after it was given back is not what was hidden before.
  return later.seq > entry.seq;
}

function rewriteComment(comment: Comment, later: Entry, rewrite: Rewrite): Comment {
  switch (rewrite.to) {
    case "text":
      return rewrite.version > comment.version ? show(comment, rewrite) : comment;
    case "restored": {
      const given = later.seq > comment.restored ? { ...comment, restored: later.seq } : comment;
      return comment.gone || rewrite.version > comment.version ? show(given, rewrite) : given;
    }
    case "gone": {
      if (!standsOver(rewrite.why, later.seq, comment)) return comment;
      const gone: Gone = { why: rewrite.why, by: later.author, reason: rewrite.reason, seq: later.seq };
      // Nothing of what it was is left, its number of edits included: so no order of events can show.
      return { ...comment, gone, text: "", version: 0 };
    }
  }
}

/** Shows a text, unless it is not there (it was dropped) or must not be shown. What was hidden is shown again with the first
 * text that comes once it is known to be given back. */
function show(comment: Comment, { version, text }: { version: number; text: string }): Comment {
  const { gone, ...rest } = comment;
  const isHidden = gone !== undefined && (gone.why === Why.RECALLED || gone.seq >= comment.restored);
  return isHidden || text === "" ? comment : { ...rest, version, text };
}

/** Whether a recall or hide at `seq` is the one that the comment must name. A recall is for good, and the first of several
 * counts; of hides the newest counts, unless the comment was given back after it. A stone without a seq is older than any. */
function standsOver(why: Why, seq: number, { gone, restored }: Comment): boolean {
  const isRecall = why === Why.RECALLED;
  if (gone?.why === Why.RECALLED) return isRecall && (gone.seq === 0 || seq < gone.seq);
  return isRecall || (seq > restored && (!gone || seq > gone.seq));
}
