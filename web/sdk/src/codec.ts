// Frames on the socket, in either subprotocol.
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "./gen/event_pb.js";
import { type Batch, type ClientFrame, ClientFrameSchema, EventsSchema, type ServerFrame, ServerFrameSchema } from "./gen/socket_pb.js";

export const BINARY = "yitang.v1.proto";
export const JSON_TEXT = "yitang.v1.json";
export type Subprotocol = typeof BINARY | typeof JSON_TEXT;

export function encode(frame: ClientFrame, subprotocol: Subprotocol): Uint8Array<ArrayBuffer> | string {
  if (subprotocol === JSON_TEXT) return toJsonString(ClientFrameSchema, frame);
  return toBinary(ClientFrameSchema, frame) as Uint8Array<ArrayBuffer>;
}

/** Throws where the frame is not of the contract. What a later contract adds is passed over. */
export function decode(data: unknown): ServerFrame {
  if (typeof data === "string") return fromJsonString(ServerFrameSchema, data, { ignoreUnknownFields: true });
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

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const inflated = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/** The events of a batch; a promise only where they must be inflated first. */
export function eventsOf(batch: Batch): Event[] | Promise<Event[]> {
  if (batch.body.case === "events") return batch.body.value.events;
  if (batch.body.case !== "deflated") return [];
  return inflate(batch.body.value).then((bytes) => fromBinary(EventsSchema, bytes).events);
}

export { create, EventSchema };
