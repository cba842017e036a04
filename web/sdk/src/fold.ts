// What an edit, a recall or a hide makes of the events before it. The same fold as sequence/src/fold.rs; entries are
// replaced, never changed, so that a view can compare them by identity.
import { type Entry, type Gone, Why } from "./entry.js";

/** seq of the comment that an edit, recall or hide is about; 0: it is none of these. */
export function targetOf(entry: Entry): number {
  const kind = entry.kind;
  return kind.case === "edit" || kind.case === "recall" || kind.case === "hide" ? kind.target : 0;
}

/** `entry` as `later` leaves it: the same object where it changes nothing. Acting twice is acting once, and the order
 * of several `later` events does not matter. */
export function fold(entry: Entry, later: Entry): Entry {
  const target = targetOf(later);
  if (target === 0) return entry;
  const kind = entry.kind;
  const change = later.kind;
  if (kind.case === "comment" && entry.seq === target) {
    if (change.case === "edit") {
      if (kind.gone || change.version <= kind.version || change.text === "") return entry;
      return { ...entry, kind: { ...kind, version: change.version, text: change.text } };
    }
    if (change.case === "recall") return entomb(entry, { why: Why.RECALLED, by: later.author, reason: change.reason });
    if (change.case === "hide") return entomb(entry, { why: Why.HIDDEN, by: later.author, reason: change.reason });
    return entry;
  }
  // An edit that was itself replaced, or whose comment was taken away, keeps its place but not its words.
  if (kind.case === "edit" && kind.target === target && entry.seq !== later.seq && kind.text !== "") {
    const replaced = change.case === "edit" ? change.version > kind.version : true;
    return replaced ? { ...entry, kind: { ...kind, text: "" } } : entry;
  }
  return entry;
}

function entomb(entry: Entry, gone: Gone): Entry {
  const kind = entry.kind;
  if (kind.case !== "comment") return entry;
  const stands = !kind.gone || (gone.why === Why.RECALLED && kind.gone.why === Why.HIDDEN);
  // Nothing of what it was is left, its number of edits included: so no order of events can show.
  return stands ? { ...entry, kind: { ...kind, gone, text: "", version: 0 } } : entry;
}
