// What tabs of one browser say to each other: plain values that can be cloned.
import { ConnectionLost, RefusalError } from "../errors.js";
import type { Connection } from "../line.js";
import type { ClientFrameBody, LiveBatch, ServerFrameBody } from "../link.js";
import type { Outgoing } from "../outbox.js";
import type { OutboxChange } from "../posting.js";

/** An error as it passes from tab to tab. */
export type PlainError = { refusal: ReturnType<typeof toPlainRefusal> } | { lost: string; timedOut: boolean };

export type PlainConnection = Omit<Connection, "refusal"> & { refusal?: ReturnType<typeof toPlainRefusal> };

/** From the tab that holds the line. */
export type FromLeader =
  | { t: "leads"; connection: PlainConnection; offsetMs: number; outbox: Outgoing[] }
  | { t: "line"; connection: PlainConnection; offsetMs: number }
  | { t: "frame"; frame: ServerFrameBody }
  | { t: "batch"; batch: LiveBatch }
  | { t: "answer"; to: string; id: number; frame: ServerFrameBody }
  | { t: "trouble"; to: string; id: number; trouble: PlainError }
  | { t: "pong" }
  | { t: "resigns" };

/** To it. */
export type ToLeader = { t: "hello" } | { t: "ping"; nudge: boolean } | { t: "ask"; id: number; frame: ClientFrameBody };

/** From any tab to all. */
export type ToAll = { t: "outbox"; change: OutboxChange } | { t: "signedOut" };

export type Content = FromLeader | ToLeader | ToAll;
export type Message = Content & { from: string };

function toPlainRefusal({ code, messageZh, messageEn, retryAfterMs, field }: RefusalError) {
  return { code, messageZh, messageEn, retryAfterMs, field };
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof RefusalError) return { refusal: toPlainRefusal(error) };
  return { lost: error instanceof Error ? error.message : String(error), timedOut: error instanceof ConnectionLost && error.timedOut };
}

export function fromPlainError(trouble: PlainError): Error {
  return "refusal" in trouble ? RefusalError.of(trouble.refusal) : new ConnectionLost(trouble.lost, trouble.timedOut);
}

export function toPlainConnection({ refusal, ...rest }: Connection): PlainConnection {
  return refusal ? { ...rest, refusal: toPlainRefusal(refusal) } : rest;
}

export function fromPlainConnection({ refusal, ...rest }: PlainConnection): Connection {
  return refusal ? { ...rest, refusal: RefusalError.of(refusal) } : rest;
}
