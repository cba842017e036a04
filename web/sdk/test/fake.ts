// A service in memory, as seen through a socket: a log, receipts, verdicts, pages, tops. It can lose frames and lines.
import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { decodeClient, encodeServer, loadJson, type Subprotocol } from "../src/codec.js";
import { type Event, EventSchema } from "../src/gen/event_pb.js";
import { type RefusalCode, RefusalSchema } from "../src/gen/common_pb.js";
import { type ClientFrame, type Page, PageSchema, ReceiptState, type ServerFrame, ServerFrameSchema, Verdict } from "../src/gen/socket_pb.js";
import type { SocketConstructor, SocketLike } from "../src/index.js";

// By the clock of these tests nothing is ever loaded: it is learnt before.
await loadJson();

export const ROOM = "0198a7a0-0000-7000-8000-000000000001";

export class FakeService {
  epoch = 77;
  log: Event[] = [];
  heartbeatMs = 1_000;
  /** Frames to a client are asked of this: true loses it (and, as no line does that, breaks the line later or never). */
  lose: (frame: ServerFrame["frame"]) => boolean = () => false;
  /** Posts are asked of this before they are appended. */
  refuse: (text: string) => { code: RefusalCode; wait?: number } | undefined = () => undefined;
  /** Posts are asked of this before they are appended: true keeps one for a moderator. */
  hold: (text: string) => boolean = () => false;
  /** After so many more answers to posts, the line breaks instead. */
  breakAtPost: () => boolean = () => false;
  gapFrom = Infinity;
  /** The session is over: tickets are refused. */
  sessionEnded = false;
  /** Batches go out deflated by this. */
  deflate: ((events: Event[]) => Uint8Array) | undefined;
  /** The link that a screen may show. */
  displayLink = "secret";
  silent = false;
  tickets = 0;
  /** With what tickets were asked for. */
  authorizations: (string | null)[] = [];
  /** Who Welcome says it is. */
  person = 7;
  resumes = 0;
  verdicts: Verdict[] = [];
  readonly receipts = new Map<string, number>();
  readonly sockets = new Set<FakeSocket>();

  append(author: number, text: string): Event {
    const seq = BigInt(this.log.length + 1);
    const event = create(EventSchema, { seq, mseq: seq, timeMs: seq * 1_000n, author, kind: { case: "comment", value: { text } } });
    this.log.push(event);
    for (const socket of this.sockets) if (socket.follows) socket.batch([event]);
    return event;
  }

  /** Tells every socket something that answers nothing. */
  tell(frame: MessageInitShape<typeof ServerFrameSchema>["frame"]): void {
    for (const socket of this.sockets) socket.tell(0, create(ServerFrameSchema, { frame } as never).frame as never);
  }

  /** Whether any socket follows the conversation. */
  get follows(): boolean {
    return [...this.sockets].some((socket) => socket.follows);
  }

  page(first: number, last: number): Page {
    const events = this.log.slice(Math.max(0, first - 1), last);
    const head = BigInt(this.log.length);
    return create(PageSchema, {
      conversation: ROOM,
      epoch: this.epoch,
      events,
      completeBefore: first <= 1,
      completeAfter: last >= this.log.length,
      headSeq: head,
      headMseq: head,
    });
  }

  tick(): void {
    for (const socket of this.sockets) socket.tops();
  }

  breakLines(code = 1006): void {
    for (const socket of [...this.sockets]) socket.drop(code);
  }

  get socketClass(): SocketConstructor {
    const service = this;
    return class extends FakeSocket {
      constructor(_url: string, protocols: string[]) {
        super(service, (protocols[0] ?? "yitang.v1.proto") as Subprotocol);
      }
    } as unknown as SocketConstructor;
  }

  readonly fetch = (async (input: string | URL | Request, init?: RequestInit) => {
    const path = String(input);
    if (path.endsWith("/sign-in/display")) {
      const { link } = JSON.parse(String(init?.body)) as { link: string };
      if (link !== this.displayLink) return answer(401, { refusal: { code: "REFUSAL_CODE_LINK_INVALID", message_zh: "链接已失效。", message_en: "Ended." } });
      this.person = 0;
      return answer(200, { person: 0, session: "d", expires_ms: 1, token: "screen", display: { link: "l", conversation: ROOM } });
    }
    if (path.endsWith("/sign-out")) {
      this.sessionEnded = true;
      this.breakLines(3500);
      return answer(200, {});
    }
    if (this.sessionEnded) return answer(401, { refusal: { code: "REFUSAL_CODE_SESSION_ENDED", message_zh: "会话已结束。", message_en: "Ended." } });
    if (path.endsWith("/ticket")) {
      this.authorizations.push(new Headers(init?.headers).get("authorization"));
      this.tickets += 1;
      return answer(200, { ticket: `t${this.tickets}`, expires_in_ms: 30_000 });
    }
    if (path.endsWith("/session")) return answer(200, { person: 7, session: "s", expires_ms: 1 });
    return answer(404, { refusal: { code: "REFUSAL_CODE_NOT_FOUND", message_zh: "没有找到。", message_en: init?.method } });
  }) as typeof fetch;
}

/** Without streams: those run by timers that the tests hold still. */
function answer(status: number, body: unknown): Response {
  return { ok: status === 200, status, json: async () => body } as unknown as Response;
}

export class FakeSocket implements SocketLike {
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  follows = false;
  /** The tab behind it is frozen: what comes waits, what goes out is lost. */
  get isHeld(): boolean {
    return this.#isHeld;
  }
  set isHeld(held: boolean) {
    this.#isHeld = held;
    if (!held) for (const act of this.#later.splice(0)) act();
  }
  #isHeld = false;
  readonly #later: (() => void)[] = [];
  #open = true;
  #beat: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly service: FakeService,
    readonly protocol: Subprotocol,
  ) {
    setTimeout(() => this.#open && this.onopen?.({} as never), 1);
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.#open) throw new Error("closed");
    const frame = decodeClient(data);
    setTimeout(() => this.#open && !this.isHeld && !this.service.silent && this.#take(frame), 1);
  }

  close(): void {
    this.drop(1000);
  }

  drop(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#beat);
    this.service.sockets.delete(this);
    setTimeout(() => this.#reach(() => this.onclose?.({ code, reason: "" } as never)), 1);
  }

  tell(re: number, frame: Parameters<typeof create<typeof ServerFrameSchema>>[1] extends infer I ? (I extends { frame?: infer F } ? F : never) : never): void {
    const message = create(ServerFrameSchema, { re, frame: frame as ServerFrame["frame"] });
    if (this.service.lose(message.frame)) return;
    const encoded = encodeServer(message, this.protocol);
    const data = typeof encoded === "string" ? encoded : encoded.slice().buffer;
    setTimeout(() => this.#open && this.#reach(() => this.onmessage?.({ data } as never)), 1);
  }

  #reach(act: () => void): void {
    if (this.#isHeld) this.#later.push(act);
    else act();
  }

  batch(events: Event[]): void {
    const first = events[0];
    if (!first) return;
    const { deflate } = this.service;
    const body = deflate ? { case: "deflated", value: deflate(events) } : { case: "events", value: { events } };
    const value = { conversation: ROOM, epoch: this.service.epoch, firstSeq: first.seq, count: events.length, body };
    this.tell(0, { case: "batch", value } as never);
  }

  tops(): void {
    if (this.service.silent) return;
    const seq = BigInt(this.service.log.length);
    const tops = this.follows ? [{ position: { conversation: ROOM, epoch: this.service.epoch, seq }, mseq: seq }] : [];
    this.tell(0, { case: "tops", value: { tops } } as never);
  }

  #take({ id, frame }: ClientFrame): void {
    const { service } = this;
    switch (frame.case) {
      case "signIn": {
        service.sockets.add(this);
        this.#beat = setInterval(() => this.tops(), service.heartbeatMs);
        if (frame.value.credential.case === "resumeToken") service.resumes += 1;
        const value = {
          person: service.person,
          session: "s",
          resumeToken: "r",
          resumeTokenExpiresMs: 300_000n,
          timeMs: 0n,
          heartbeatMs: service.heartbeatMs,
          retry: { minMs: 100, jitterMs: 0, maxMs: 1_000 },
        };
        this.tell(id, { case: "welcome", value } as never);
        for (const position of frame.value.resume) this.#subscribe(0, position, 0);
        return;
      }
      case "subscribe":
        return this.#subscribe(id, frame.value.after, frame.value.tail);
      case "post": {
        const { clientId, content } = frame.value;
        const text = content.case === "comment" ? content.value.text : "";
        const refused = service.receipts.has(clientId) ? undefined : service.refuse(text);
        if (refused) {
          const value = create(RefusalSchema, { code: refused.code, messageZh: "不行。", messageEn: "No.", retryAfterMs: refused.wait ?? 0 });
          return this.tell(id, { case: "refusal", value } as never);
        }
        if (service.hold(text)) {
          const position = { conversation: ROOM, epoch: service.epoch, seq: 0n };
          return this.tell(id, { case: "receipt", value: { clientId, position, state: ReceiptState.HELD } } as never);
        }
        const seq = service.receipts.get(clientId) ?? Number(service.append(7, text).seq);
        service.receipts.set(clientId, seq);
        if (service.breakAtPost()) return this.drop(1006);
        const position = { conversation: ROOM, epoch: service.epoch, seq: BigInt(seq) };
        return this.tell(id, { case: "receipt", value: { clientId, position, mseq: BigInt(seq), state: ReceiptState.SHOWN } } as never);
      }
      case "page": {
        const { where, limit } = frame.value;
        if (where.case === "after") return this.tell(id, { case: "page", value: service.page(Number(where.value) + 1, Number(where.value) + limit) } as never);
        const before = where.case === "before" ? Number(where.value) : 1;
        return this.tell(id, { case: "page", value: service.page(Math.max(1, before - limit), before - 1) } as never);
      }
      case "unsubscribe":
        this.follows = false;
        return this.tell(id, { case: "unsubscribed", value: { conversation: ROOM } } as never);
      case "ping":
        return this.tell(id, { case: "pong", value: {} } as never);
      case "markRead":
        return this.tell(id, { case: "readMoved", value: frame.value } as never);
      default:
        return;
    }
  }

  #subscribe(re: number, after: { epoch: number; seq: bigint } | undefined, tail: number): void {
    const { service } = this;
    const head = service.log.length;
    const at = Number(after?.seq ?? 0n);
    let verdict = Verdict.FRESH;
    if (after) verdict = after.epoch !== service.epoch || at > head ? Verdict.RESET : head - at > service.gapFrom ? Verdict.GAP : Verdict.RESUMED;
    service.verdicts.push(verdict);
    const seq = BigInt(verdict === Verdict.RESUMED ? at : head);
    const fresh = verdict === Verdict.FRESH || verdict === Verdict.RESET;
    const value = {
      verdict,
      position: { conversation: ROOM, epoch: service.epoch, seq },
      headSeq: BigInt(head),
      headMseq: BigInt(head),
      mayPost: true,
      ...(fresh ? { tail: service.page(Math.max(1, head - tail + 1), head) } : {}),
    };
    this.follows = true;
    this.tell(re, { case: "subscribed", value } as never);
    if (verdict === Verdict.RESUMED) this.batch(service.log.slice(at));
  }
}
