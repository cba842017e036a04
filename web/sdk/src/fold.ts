// What later events make of the events before them. The same fold as sequence/src/fold.rs; entries are replaced, never
// changed, so that a view can compare them by identity. What a kind does to its target is the kind's (kinds/).
import type { Entry } from "./entry.js";
import { applyOther, changeTarget, findTarget } from "./kinds/index.js";

/** `entry` as `later` leaves it: the same object where it changes nothing. Acting twice is acting once, and the order
 * of several `later` events does not matter. */
export function fold(entry: Entry, later: Entry): Entry {
  const target = findTarget(later);
  if (target === 0) return entry;
  if (entry.seq === target) return changeTarget(entry, later) as Entry;
  if (entry.seq !== later.seq && findTarget(entry) === target) return applyOther(entry, later) as Entry;
  return entry;
}
