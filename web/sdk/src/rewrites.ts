// Which of the events that change the text of one comment a reader must hold on to: a few, however many there were.
import type { Entry } from "./entry.js";
import { Why } from "./kinds/comment.js";
import { clearText, findRewrite } from "./kinds/index.js";
import type { Rewrite } from "./kinds/rules.js";

type Place = "recall" | "hide" | "restored" | "restoredText" | "text" | "worded";
type Held = { entry: Entry; rewrite: Rewrite };

const isAfter = (one: Held, other: Held) => one.entry.seq > other.entry.seq;
const versionOf = ({ rewrite }: Held) => (rewrite.to === "gone" ? 0 : rewrite.version);
const isNewer = (one: Held, other: Held) => versionOf(one) > versionOf(other) || (versionOf(one) === versionOf(other) && isAfter(one, other));

/** Whether `one` is to be held in the place of `other`. */
const STANDS: Record<Place, (one: Held, other: Held) => boolean> = {
  // The first recall is the one that the comment names; of hides, the newest.
  recall: (one, other) => isAfter(other, one),
  hide: isAfter,
  restored: isAfter,
  text: isNewer,
  // The newest text may come without its words, which stand elsewhere by then: until they come, the newest that has some.
  restoredText: isNewer,
  worded: isNewer,
};

function listPlaces(rewrite: Rewrite): Place[] {
  switch (rewrite.to) {
    case "gone":
      return [rewrite.why === Why.RECALLED ? "recall" : "hide"];
    case "restored":
      return rewrite.text === "" ? ["restored"] : ["restored", "restoredText"];
    case "text":
      return rewrite.text === "" ? ["text"] : ["text", "worded"];
  }
}

/** Of those that are held of one target, and `added`: what may still matter to whatever comes, by seq. At most six. */
export function keepRewrites(held: Entry[], added: Entry): Entry[] {
  if (held.some(({ seq }) => seq === added.seq)) return held;
  const places = new Map<Place, Held>();
  for (const entry of [...held, added]) {
    const rewrite = findRewrite(entry);
    if (!rewrite) continue;
    const one = { entry, rewrite };
    for (const place of listPlaces(rewrite)) {
      const other = places.get(place);
      if (!other || STANDS[place](one, other)) places.set(place, one);
    }
  }
  const recall = places.get("recall");
  const restored = places.get("restored");
  // It is gone for good: no words of it are held any longer.
  const kept = recall ? [recall.entry, ...(restored ? [clearText(restored.entry)] : [])] : [...new Set([...places.values()].map(({ entry }) => entry))];
  return kept.sort((a, b) => a.seq - b.seq);
}
