// Frames on the socket, in either subprotocol.
import { fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { Event } from "./gen/event_pb.js";
import { type Batch, type ClientFrame, ClientFrameSchema, EventsSchema, type ServerFrame, ServerFrameSchema } from "./gen/socket_pb.js";

export const BINARY = "yitang.v1.proto";
export const JSON_TEXT = "yitang.v1.json";
export type Subprotocol = typeof BINARY | typeof JSON_TEXT;

/** What one batch may inflate to, bytes: sixteen times a frame. More is a bomb, not a batch. */
export const INFLATED_BYTES = 4 * 1024 * 1024;

let json: typeof import("./json.js") | undefined;
/** Before JSON is spoken: most never speak it, and need not carry it. */
export async function loadJson(): Promise<void> {
  json ??= await import("./json.js");
}
function requireJson(): typeof import("./json.js") {
  if (!json) throw new Error("JSON has not been learnt");
  return json;
}

/** Throws where it is JSON, and that has not been learnt. */
export function encode(frame: ClientFrame, subprotocol: Subprotocol): Uint8Array<ArrayBuffer> | string {
  if (subprotocol === JSON_TEXT) return requireJson().encodeJson(frame);
  return toBinary(ClientFrameSchema, frame) as Uint8Array<ArrayBuffer>;
}

/** Throws where the frame is not of the contract. What a later contract adds is passed over. */
export function decode(data: unknown): ServerFrame {
  if (typeof data === "string") return requireJson().decodeJson(data);
  if (data instanceof ArrayBuffer) return fromBinary(ServerFrameSchema, new Uint8Array(data));
  if (ArrayBuffer.isView(data)) return fromBinary(ServerFrameSchema, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  throw new TypeError("a frame is text or bytes");
}

/** For tests and tools that stand on the other side. */
export function decodeClient(data: string | Uint8Array): ClientFrame {
  return typeof data === "string" ? fromJsonString(ClientFrameSchema, data) : fromBinary(ClientFrameSchema, data);
}
export function encodeServer(frame: ServerFrame, subprotocol: Subprotocol): Uint8Array<ArrayBuffer> | string {
  if (subprotocol === JSON_TEXT) return toJsonString(ServerFrameSchema, frame);
  return toBinary(ServerFrameSchema, frame) as Uint8Array<ArrayBuffer>;
}

/** Whether this place inflates natively; elsewhere frames come uncompressed. */
export function canInflate(): boolean {
  try {
    new DecompressionStream("deflate-raw");
    return true;
  } catch {
    return false;
  }
}

/** Inflates raw deflate. Rejects where it is none, or gives more than `most` bytes. */
export async function inflate(bytes: Uint8Array, most: number = INFLATED_BYTES): Promise<Uint8Array> {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  // What is wrong with the input comes out at the reader.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => undefined);
  writer.close().catch(() => undefined);
  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > most) {
      reader.cancel().catch(() => undefined);
      throw new RangeError("a batch inflates to more than its bound");
    }
    chunks.push(value);
  }
  if (chunks.length === 1 && chunks[0]) return chunks[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** The events of a batch; undefined where they cannot be had from it. A promise only where they must be inflated first. */
export function decodeEvents(batch: Batch): Event[] | undefined | Promise<Event[] | undefined> {
  if (batch.body.case === "events") return checkEvents(batch, batch.body.value.events);
  if (batch.body.case !== "deflated") return undefined;
  return inflate(batch.body.value).then(
    (bytes) => checkEvents(batch, fromBinary(EventsSchema, bytes).events),
    () => undefined,
  ).catch(() => undefined);
}

/** A batch says how many it holds and from where; one that holds something else is not to be believed. */
function checkEvents(batch: Batch, events: Event[]): Event[] | undefined {
  if (events.length !== batch.count) return undefined;
  return events.every((event, index) => event.seq === batch.firstSeq + BigInt(index)) ? events : undefined;
}
