// Events as clients hold them: plain objects with numbers (a seq stays far below 2^53), made from the wire's messages.
import type { Event } from "./gen/event_pb.js";
import { type Kind, decodeKind } from "./kinds/index.js";
import type { LogEntry } from "./kinds/rules.js";
import { decodeMarkSet, decodeMarks } from "./marks.js";

/** One event of a conversation's log, as later events left it. */
export type Entry = LogEntry<Kind>;

/** The wire's event as an entry of its own; shares nothing that the fold changes. */
export function toEntry(event: Event): Entry {
  return {
    seq: Number(event.seq),
    mseq: Number(event.mseq),
    timeMs: Number(event.timeMs),
    author: event.author,
    kind: decodeKind(event.kind),
    ...(event.marks ? { marks: decodeMarks(event.marks) } : {}),
    ...(event.leaves ? { leaves: decodeMarkSet(event.leaves) } : {}),
  };
}
