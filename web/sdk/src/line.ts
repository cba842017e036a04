// The line to the service, as the client sees it: a socket of its own, or one that several tabs share.
import type { RefusalError } from "./errors.js";
import type { Position } from "./gen/common_pb.js";
import type { ClientFrameBody, InOrder, LiveBatch, ServerFrameBody } from "./link.js";

/** `idle` before start and after stop; `connecting`; `online`; `waiting` for the next try; `ended`: sign in again;
 * `refused`: the service will not have this client, and coming back does not help. */
export type Phase = "idle" | "connecting" | "online" | "waiting" | "ended" | "refused";

export interface Connection {
  phase: Phase;
  /** When the next try is due, milliseconds since 1970 by this device's clock; 0: none is planned. */
  retryAtMs: number;
  /** Tries since the line was last good. */
  tries: number;
  gateway: string;
  refusal?: RefusalError;
}

export const IDLE: Connection = { phase: "idle", retryAtMs: 0, tries: 0, gateway: "" };

/** Where a conversation stands when the line is made anew. */
export type ResumePosition = Pick<Position, "conversation" | "epoch" | "seq">;

/** What a line wants of the client, and tells it. */
export interface LineHost {
  /** Positions to go on from, asked for at each sign-in; each is answered by a `subscribed` or `refusal` frame. */
  listPositions(): ResumePosition[];
  handleConnection(connection: Connection): void;
  /** A frame that answers nothing. */
  handleFrame(frame: ServerFrameBody): void;
  handleBatch(batch: LiveBatch): void;
  /** Server's clock less this device's, milliseconds. */
  handleClock(offsetMs: number): void;
}

export interface Line {
  readonly connection: Connection;
  /** Connects, and stays connected until `stop`. */
  start(): void;
  stop(): Promise<void>;
  /** Throws RefusalError, or ConnectionLost where no answer comes. */
  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody>;
  /** The network or the page came back: try now, or ask whether the line still lives. */
  wake(): void;
  /** An answer that was due did not come: do not believe this line any more. */
  reportTimeout(): void;
}
