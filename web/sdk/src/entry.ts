// Events as clients hold them: plain objects with numbers (a seq stays far below 2^53), made from the wire's messages.
import type { Event, Tombstone } from "./gen/event_pb.js";
import type { ConsultationState, ConversationKind } from "./gen/event_pb.js";
import { Tombstone_Why as Why } from "./gen/event_pb.js";

export { Why };

export interface Gone {
  why: Why;
  by: number;
  reason: string;
}

export type Kind =
  | { case: "comment"; text: string; replyTo: number; version: number; gone?: Gone }
  | { case: "edit"; target: number; version: number; text: string }
  | { case: "recall"; target: number; reason: string }
  | { case: "hide"; target: number; reason: string }
  | { case: "consultationChanged"; state: ConsultationState; version: number; slowModeS: number }
  | { case: "membersChanged"; added: number[]; removed: number[] }
  | { case: "conversationCreated"; kind: ConversationKind; title: string }
  /** Of a later version of the contract: it keeps its place and shows nothing. */
  | { case: "unknown" };

/** One event of a conversation's log, as later events left it. */
export interface Entry {
  seq: number;
  mseq: number;
  timeMs: number;
  /** 0: the service itself. */
  author: number;
  kind: Kind;
}

function gone(stone: Tombstone | undefined): { gone: Gone } | Record<never, never> {
  return stone ? { gone: { why: stone.why, by: stone.by, reason: stone.reason } } : {};
}

function kindOf(event: Event): Kind {
  const kind = event.kind;
  switch (kind.case) {
    case "comment": {
      const { text, replyTo, version } = kind.value;
      return { case: "comment", text, replyTo: Number(replyTo), version, ...gone(kind.value.gone) };
    }
    case "edit":
      return { case: "edit", target: Number(kind.value.target), version: kind.value.version, text: kind.value.text };
    case "recall":
    case "hide":
      return { case: kind.case, target: Number(kind.value.target), reason: kind.value.reason };
    case "consultationChanged": {
      const { state, version, slowModeS } = kind.value;
      return { case: "consultationChanged", state, version, slowModeS };
    }
    case "membersChanged":
      return { case: "membersChanged", added: kind.value.added, removed: kind.value.removed };
    case "conversationCreated":
      return { case: "conversationCreated", kind: kind.value.kind, title: kind.value.title };
    default:
      return { case: "unknown" };
  }
}

/** The wire's event as an entry of its own; shares nothing that the fold changes. */
export function entryOf(event: Event): Entry {
  return {
    seq: Number(event.seq),
    mseq: Number(event.mseq),
    timeMs: Number(event.timeMs),
    author: event.author,
    kind: kindOf(event),
  };
}
