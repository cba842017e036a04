// One socket, from the upgrade to its end: signing in, answers matched to requests, and a line that is known dead
// when nothing comes.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { BINARY, JSON_TEXT, type Subprotocol, decode, encode, decodeEvents } from "./codec.js";
import { ConnectionLost, RefusalError } from "./errors.js";
import type { Event } from "./gen/event_pb.js";
import { type Batch, ClientFrameSchema, type ServerFrame, type SignInSchema, type Welcome } from "./gen/socket_pb.js";

/** What a WebSocket must offer; the browser's and the `ws` package's do. */
export interface SocketLike {
  binaryType: string;
  readonly protocol: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

export type ClientFrameBody = NonNullable<MessageInitShape<typeof ClientFrameSchema>["frame"]>;
export type ServerFrameBody = ServerFrame["frame"];

export interface LinkOptions {
  url: string;
  socket: SocketConstructor;
  subprotocols: Subprotocol[];
  signIn: MessageInitShape<typeof SignInSchema>;
  /** Until Welcome, milliseconds. */
  connectMs: number;
  /** Until an answer, milliseconds. */
  answerMs: number;
  /** Frames that answer nothing; those of one socket come in order. */
  onFrame: (frame: ServerFrameBody) => void;
  /** `events` undefined: the batch came, but what is in it cannot be had; it is a hole to be paged. */
  onBatch: (batch: LiveBatch) => void;
  onWelcome: (welcome: Welcome) => void;
}

/** A stretch of live events, as it came. */
export interface LiveBatch {
  conversation: string;
  epoch: number;
  first: number;
  count: number;
  /** Undefined: they could not be read. */
  events: Event[] | undefined;
}

/** How a socket ended. */
export interface Closed {
  code: number;
  reason: string;
  /** The upgrade succeeded. */
  opened: boolean;
  /** The refusal that came before the end, where one did. */
  refusal?: RefusalError;
  /** A frame that we could not understand. */
  undecodable: boolean;
  welcomed: boolean;
}

/** Silence, as we close it ourselves. 4000–4499 invites to come back. */
export const SILENT = 4000;
const ABNORMAL = 1006;
/** Frames that may wait behind a batch that is being inflated: minutes of a flood. */
const QUEUED_MOST = 2_000;

/** Whether the service invites a client back by itself after this. */
export function invitesReconnect(code: number): boolean {
  return !((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999));
}

/** Called with the answer at its place among all frames, before any later one is handled. */
export type InOrder = (answer: ServerFrameBody) => void;

interface Waiting {
  inOrder: InOrder | undefined;
  resolve: (frame: ServerFrameBody) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** One connection. */
export class Link {
  readonly closed: Promise<Closed>;
  #finish!: (closed: Closed) => void;
  readonly #socket: SocketLike;
  readonly #waiting = new Map<number, Waiting>();
  #id = 0;
  #over = false;
  #open = false;
  #welcome: Welcome | undefined;
  #lastRefusal: RefusalError | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #receivedMs = performance.now();
  /** Frames behind a batch that is being inflated wait here, so that order holds. */
  #behind: Promise<void> | undefined;
  #queued = 0;

  constructor(private readonly options: LinkOptions) {
    this.closed = new Promise((resolve) => (this.#finish = resolve));
    this.#socket = new options.socket(options.url, options.subprotocols);
    this.#socket.binaryType = "arraybuffer";
    this.#expect(options.connectMs);
    this.#socket.onopen = () => this.#handleOpen();
    this.#socket.onmessage = (event: { data: unknown }) => this.#handleData(event.data);
    this.#socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code || ABNORMAL, String(event.reason ?? ""));
    this.#socket.onerror = () => undefined;
  }

  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** Milliseconds since the last frame. */
  get silentMs(): number {
    return performance.now() - this.#receivedMs;
  }

  /** Sends a frame and gives its answer. Throws RefusalError, or ConnectionLost where none comes. */
  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    if (this.#over) return Promise.reject(new ConnectionLost());
    this.#id = (this.#id % 0xffff_ffff) + 1;
    const id = this.#id;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ConnectionLost("no answer came in time", true));
      }, this.options.answerMs);
      this.#waiting.set(id, { inOrder, resolve, reject, timer });
      this.#send(id, frame);
    });
  }

  /** Asks whether anyone is there; without an answer within `withinMs` the line is dead. */
  probe(withinMs: number): void {
    if (this.#over) return;
    this.#expect(withinMs);
    this.request({ case: "ping", value: {} }).catch(() => undefined);
  }

  close(code = 1000, reason = ""): void {
    if (this.#over) return;
    try {
      this.#socket.close(code, reason);
    } catch {
      // A socket that cannot be closed is closed.
    }
    // A dead line's close takes minutes in some browsers: for us it is over now.
    this.#end(code, reason);
  }

  #handleOpen(): void {
    this.#open = true;
    this.#send(++this.#id, { case: "signIn", value: this.options.signIn });
  }

  #send(id: number, frame: ClientFrameBody): void {
    const subprotocol: Subprotocol = this.#socket.protocol === JSON_TEXT ? JSON_TEXT : BINARY;
    try {
      this.#socket.send(encode(create(ClientFrameSchema, { id, frame }), subprotocol));
    } catch {
      this.close(SILENT, "sending failed");
    }
  }

  #expect(withinMs: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.close(SILENT, "silence"), withinMs);
  }

  #handleData(data: unknown): void {
    if (this.#over) return;
    this.#receivedMs = performance.now();
    let frame: ServerFrame;
    try {
      frame = decode(data);
    } catch {
      this.#end(1002, "undecodable", true);
      this.#socket.close(4400, "undecodable");
      return;
    }
    if (this.#welcome) this.#expect(2 * Math.max(this.#welcome.heartbeatMs, 1_000));
    if (this.#behind) {
      this.#wait(this.#behind.then(() => this.#handle(frame)));
      return;
    }
    const pending = this.#handle(frame);
    if (pending) this.#wait(pending);
  }

  #wait(pending: Promise<void>): void {
    this.#queued += 1;
    const behind: Promise<void> = pending
      .catch(() => this.close(SILENT, "a frame could not be handled"))
      .then(() => {
        this.#queued -= 1;
        if (this.#behind === behind) this.#behind = undefined;
      });
    this.#behind = behind;
    if (this.#queued > QUEUED_MOST) this.close(SILENT, "too much waits to be inflated");
  }

  #handle({ re, frame }: ServerFrame): Promise<void> | undefined {
    if (this.#over) return undefined;
    if (frame.case === "batch") {
      const batch = frame.value;
      const events = decodeEvents(batch);
      if (events instanceof Promise) return events.then((inflated) => this.#emitBatch(batch, inflated));
      this.#emitBatch(batch, events);
      return undefined;
    }
    if (frame.case === "welcome") this.#handleWelcome(frame.value);
    const waiting = re === 0 ? undefined : this.#waiting.get(re);
    if (waiting) {
      this.#waiting.delete(re);
      clearTimeout(waiting.timer);
      if (frame.case === "refusal") {
        waiting.reject(RefusalError.of(frame.value));
        return undefined;
      }
      waiting.inOrder?.(frame);
      waiting.resolve(frame);
      return undefined;
    }
    if (frame.case === "refusal") this.#lastRefusal = RefusalError.of(frame.value);
    if (frame.case !== "welcome") this.options.onFrame(frame);
    return undefined;
  }

  #emitBatch({ conversation, epoch, firstSeq, count }: Batch, events: Event[] | undefined): void {
    if (this.#over) return;
    this.options.onBatch({ conversation, epoch, first: Number(firstSeq), count, events });
  }

  #handleWelcome(welcome: Welcome): void {
    this.#welcome = welcome;
    this.#lastRefusal = undefined;
    this.#expect(2 * Math.max(welcome.heartbeatMs, 1_000));
    this.options.onWelcome(welcome);
  }

  #end(code: number, reason: string, undecodable = false): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#silence);
    const closed: Closed = { code, reason, opened: this.#open, undecodable, welcomed: this.#welcome !== undefined };
    if (this.#lastRefusal) closed.refusal = this.#lastRefusal;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new ConnectionLost());
    }
    this.#waiting.clear();
    this.#finish(closed);
  }
}
