// One call over gRPC-Web: a request's message in a frame, an answer's message and its trailers in frames. Unary only:
// streams come by the socket.
import { type DescMethod, type DescService, type MessageInitShape, type MessageShape, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { BinaryReader, base64Decode } from "@bufbuild/protobuf/wire";
import { ConnectionLost, RefusalCode, RefusalError } from "./errors.js";
import { RefusalSchema } from "./gen/common_pb.js";
import type { HttpOptions } from "./http.js";

/** What a service of the contract is to a caller: its unary methods. */
export type ServiceClient<S> =
  S extends GenService<infer Methods extends GenServiceMethods>
    ? {
        [M in keyof Methods as Methods[M]["methodKind"] extends "unary" ? M : never]: (
          request: MessageInitShape<Methods[M]["input"]>,
        ) => Promise<MessageShape<Methods[M]["output"]>>;
      }
    : never;

const HEADER_BYTES = 5;
const TRAILERS = 0x80;
/** An answer above this is none of ours, bytes. */
const ANSWER_BYTES = 16 * 1024 * 1024;
const TYPE = "application/grpc-web+proto";

/** Codes of gRPC that say that the answer did not come, not that it is no. */
const LOST = new Set([1, 2, 4, 10, 14]);
const UNAUTHENTICATED = 16;

export interface Status {
  code: number;
  message: string;
  /** google.rpc.Status, base64; empty: none. */
  details: string;
}

/** Frames of an answer's body. Throws where it is cut off. */
export function splitFrames(body: Uint8Array): { message: Uint8Array | undefined; trailers: string } {
  let message: Uint8Array | undefined;
  let trailers = "";
  for (let at = 0; at < body.length; ) {
    const flag = body[at] ?? 0;
    const length = at + HEADER_BYTES <= body.length ? new DataView(body.buffer, body.byteOffset + at + 1, 4).getUint32(0) : Infinity;
    const end = at + HEADER_BYTES + length;
    if (end > body.length) throw new ConnectionLost("the answer was cut off");
    const inside = body.subarray(at + HEADER_BYTES, end);
    if (flag & TRAILERS) trailers += new TextDecoder().decode(inside);
    else message ??= inside;
    at = end;
  }
  return { message, trailers };
}

/** The status that trailers (or headers) tell; undefined: none. */
export function parseStatus(get: (name: string) => string | null | undefined): Status | undefined {
  const code = get("grpc-status");
  if (code === null || code === undefined || code === "") return undefined;
  return { code: Number(code), message: decodeText(get("grpc-message") ?? ""), details: get("grpc-status-details-bin") ?? "" };
}

/** A status as ours: the refusal among its details, a line that broke, or a plain "no". */
export function toError(status: Status): Error {
  const refusal = parseRefusal(status.details);
  if (refusal) return refusal;
  if (status.code === UNAUTHENTICATED) return new RefusalError(RefusalCode.UNAUTHENTICATED, "请先登录。", "Please sign in.");
  if (LOST.has(status.code)) return new ConnectionLost(status.message);
  return new RefusalError(RefusalCode.UNSPECIFIED, "请求未被接受。", status.message || "The request was not accepted.");
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** google.rpc.Status holds details (3), each an Any: a type's address (1) and its bytes (2). */
function parseRefusal(details: string): RefusalError | undefined {
  if (details === "") return undefined;
  try {
    const reader = new BinaryReader(base64Decode(details));
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field !== 3) {
        reader.skip(wire, field);
        continue;
      }
      const { type, value } = parseAny(reader.bytes());
      if (type.endsWith(`/${RefusalSchema.typeName}`)) return RefusalError.of(fromBinary(RefusalSchema, value));
    }
  } catch {
    // Not of the contract: its code alone tells.
  }
  return undefined;
}
function parseAny(bytes: Uint8Array): { type: string; value: Uint8Array } {
  const reader = new BinaryReader(bytes);
  let type = "";
  let value = new Uint8Array();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1) type = reader.string();
    else if (field === 2) value = reader.bytes() as Uint8Array<ArrayBuffer>;
    else reader.skip(wire, field);
  }
  return { type, value };
}

function parseHeaders(trailers: string): (name: string) => string | undefined {
  const all = new Map<string, string>();
  for (const line of trailers.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) all.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return (name) => all.get(name);
}

async function call(options: HttpOptions, method: DescMethod, request: object): Promise<unknown> {
  const bytes = toBinary(method.input, create(method.input, request as Record<string, unknown>));
  const body = new Uint8Array(HEADER_BYTES + bytes.length);
  new DataView(body.buffer).setUint32(1, bytes.length);
  body.set(bytes, HEADER_BYTES);
  const headers: Record<string, string> = { "content-type": TYPE, "x-grpc-web": "1", "grpc-timeout": `${options.timeoutMs}m` };
  if (options.token) headers["authorization"] = `Bearer ${options.token}`;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), options.timeoutMs);
  let response: Response;
  let answer: Uint8Array;
  try {
    const { fetch } = options;
    const url = `${options.url}/${method.parent.typeName}/${method.name}`;
    response = await fetch(url, { method: "POST", headers, body, signal: stop.signal, credentials: "include", cache: "no-store" });
    answer = new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new ConnectionLost("the service cannot be reached");
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok || !(response.headers.get("content-type") ?? "").startsWith("application/grpc-web")) {
    if (response.status === 401) throw toError({ code: UNAUTHENTICATED, message: "", details: "" });
    if (response.ok || response.status >= 500 || response.status === 429) throw new ConnectionLost(`the service answered ${response.status}`);
    throw toError({ code: 3, message: `The service refused (${response.status}).`, details: "" });
  }
  if (answer.length > ANSWER_BYTES) throw new ConnectionLost("the answer is too long");
  const { message, trailers } = splitFrames(answer);
  const status = parseStatus(parseHeaders(trailers)) ?? parseStatus((name) => response.headers.get(name));
  if (!status) throw new ConnectionLost("the answer was cut off");
  if (status.code !== 0) throw toError(status);
  if (!message) throw new ConnectionLost("the answer has no message");
  return fromBinary(method.output, message);
}

/** A service's methods, each a call. Refusals are thrown as RefusalError, a line that breaks as ConnectionLost. */
export function createServiceClient<S extends DescService>(service: S, options: HttpOptions): ServiceClient<S> {
  const methods = Object.values(service.method as Record<string, DescMethod>).filter((method) => method.methodKind === "unary");
  return Object.fromEntries(methods.map((method) => [method.localName, (request: object) => call(options, method, request)])) as ServiceClient<S>;
}
