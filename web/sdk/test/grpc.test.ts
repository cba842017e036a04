import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, base64Encode } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { ConnectionLost, RefusalCode, RefusalError } from "../src/errors.js";
import { RefusalSchema } from "../src/gen/common_pb.js";
import { ConsultationSchema, ConsultationService } from "../src/gen/consultation_pb.js";
import { createServiceClient, splitFrames } from "../src/grpc.js";

function frame(flag: number, inside: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + inside.length);
  bytes[0] = flag;
  new DataView(bytes.buffer).setUint32(1, inside.length);
  bytes.set(inside, 5);
  return bytes;
}
function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
const text = (value: string) => new TextEncoder().encode(value);
const trailers = (value: string) => frame(0x80, text(value));
const message = frame(0, toBinary(ConsultationSchema, create(ConsultationSchema, { id: "a", title: "题目" })));
const HEADERS = { "content-type": "application/grpc-web+proto" };

/** google.rpc.Status with a refusal among its details, and something else before it. */
function details(code: RefusalCode, retryAfterMs: number): string {
  const refusal = toBinary(RefusalSchema, create(RefusalSchema, { code, messageZh: "太快了", messageEn: "too fast", retryAfterMs }));
  const any = (type: string, value: Uint8Array) => new BinaryWriter().tag(1, 2).string(type).tag(2, 2).bytes(value).finish();
  const status = new BinaryWriter().tag(1, 0).int32(8).tag(2, 2).string("too fast");
  for (const detail of [any("type.googleapis.com/google.rpc.Help", text("?")), any("type.googleapis.com/yitang.v1.Refusal", refusal)]) status.tag(3, 2).bytes(detail);
  return base64Encode(status.finish(), "std_raw");
}

function services(answer: () => Response | Promise<Response>, token?: string) {
  const asked: { url: string; headers: Headers; body: Uint8Array }[] = [];
  const call: typeof fetch = async (input, init) => {
    asked.push({ url: String(input), headers: new Headers(init?.headers), body: new Uint8Array(init?.body as ArrayBuffer) });
    return answer();
  };
  return { asked, consultations: createServiceClient(ConsultationService, { url: "http://hall.test", token, fetch: call, timeoutMs: 1_000 }) };
}
const ask = (answer: () => Response | Promise<Response>) => services(answer).consultations.getConsultation({ id: "a" });
const answer = (body: Uint8Array<ArrayBuffer>, init: ResponseInit = {}) => () => new Response(body, { headers: HEADERS, ...init });

describe("a call over gRPC-Web", () => {
  it("asks in one frame, with the token, and gives the answer's message", async () => {
    const { asked, consultations } = services(answer(joined(message, trailers("grpc-status: 0\r\n"))), "screen");
    expect(await consultations.getConsultation({ id: "a" })).toMatchObject({ id: "a", title: "题目" });
    expect(asked[0]?.url).toBe("http://hall.test/yitang.v1.ConsultationService/GetConsultation");
    expect(asked[0]?.headers.get("content-type")).toBe("application/grpc-web+proto");
    expect(asked[0]?.headers.get("authorization")).toBe("Bearer screen");
    expect(asked[0]?.body).toEqual(frame(0, new Uint8Array([10, 1, 97])));
  });

  it("a refusal is told as such, with when to try again, from trailers or from headers alone", async () => {
    const told = details(RefusalCode.RATE_LIMITED, 4_000);
    const wanted = { code: RefusalCode.RATE_LIMITED, messageZh: "太快了", retryAfterMs: 4_000 };
    await expect(ask(answer(trailers(`grpc-status: 8\r\ngrpc-message: too%20fast\r\ngrpc-status-details-bin: ${told}\r\n`)))).rejects.toMatchObject(wanted);
    const headers = { ...HEADERS, "grpc-status": "8", "grpc-status-details-bin": told };
    await expect(ask(answer(new Uint8Array(), { headers }))).rejects.toMatchObject(wanted);
  });

  it("what says that no answer came is a line that broke; the rest is a no", async () => {
    for (const code of [1, 2, 4, 10, 14]) await expect(ask(answer(trailers(`grpc-status: ${code}`)))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(answer(trailers("grpc-status: 16")))).rejects.toMatchObject({ code: RefusalCode.UNAUTHENTICATED });
    const no: unknown = await ask(answer(trailers("grpc-status: 12\r\ngrpc-message: %E4%B8%8D"))).catch((error: unknown) => error);
    expect(no).toBeInstanceOf(RefusalError);
    expect(no).toMatchObject({ code: RefusalCode.UNSPECIFIED, messageEn: "不" });
  });

  it("an answer that is cut off, or is somebody else's, is a line that broke", async () => {
    const whole = joined(message, trailers("grpc-status: 0"));
    for (let length = 0; length < whole.length; length += 1) await expect(ask(answer(whole.slice(0, length)))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(answer(trailers("grpc-status: 0")))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(() => new Response("<h1>proxy</h1>", { headers: { "content-type": "text/html" } }))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(() => new Response("", { status: 502 }))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(() => Promise.reject(new TypeError("no network")))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(ask(() => new Response("", { status: 401 }))).rejects.toMatchObject({ code: RefusalCode.UNAUTHENTICATED });
  });

  it("a frame says how long it is, and is believed only as far as the body goes", () => {
    expect(splitFrames(joined(message, trailers("a: b"))).trailers).toBe("a: b");
    expect(() => splitFrames(new Uint8Array([0, 255, 255, 255, 255, 1]))).toThrow(ConnectionLost);
  });
});
