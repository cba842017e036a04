// A line with a socket of its own: tickets and resume tokens, coming back as the server says, and its end.
import { Backoff } from "./backoff.js";
import { BINARY, type Subprotocol, canInflate, loadJson } from "./codec.js";
import { SubprotocolChoice } from "./subprotocol.js";
import { ConnectionLost, RefusalError, endsSession } from "./errors.js";
import { Capability, type Welcome } from "./gen/socket_pb.js";
import type { Http } from "./http.js";
import { type Connection, IDLE, type Line, type LineHost } from "./line.js";
import { type ClientFrameBody, type Closed, type InOrder, Link, type LinkOptions, type ServerFrameBody, type SocketConstructor, SILENT, invitesReconnect } from "./link.js";

export interface DirectOptions {
  http: Pick<Http, "ticket" | "options">;
  /** The person that this line is for. */
  person: () => number;
  name: string;
  sockets: string[];
  webSocket: SocketConstructor;
  subprotocols: Subprotocol[] | undefined;
  connectMs: number;
  answerMs: number;
  random: () => number;
}

/** The number of the contract that is spoken here: proto/src/limits.rs. A gateway refuses an older one. */
const CONTRACT = 2;
const CREDENTIAL_REFUSED = 3005;
const SESSION_ENDED = 3500;
const PROBE_MS = 4_000;
const NEVER_OPENED: Closed = { code: 1006, reason: "", opened: false, undecodable: false, welcomed: false };

export class DirectLine implements Line {
  connection: Connection = IDLE;
  readonly #backoff: Backoff;
  readonly #subprotocols: SubprotocolChoice;
  #link: Link | undefined;
  #running: Promise<void> | undefined;
  #stopped = true;
  #wake: (() => void) | undefined;
  /** What is left to wait though somebody asks to try now: the server's own word. */
  #mustWaitUntilMs = 0;
  #resume: { token: string; untilMs: number } | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #turn: number;
  /** The browser's session has become another person's: this line is not theirs. */
  #mistaken = false;

  constructor(
    private readonly options: DirectOptions,
    private readonly host: LineHost,
  ) {
    this.#backoff = new Backoff(undefined, options.random);
    this.#subprotocols = new SubprotocolChoice(options.subprotocols);
    this.#turn = Math.floor(options.random() * 1_000);
  }

  start(): void {
    if (this.#running) return;
    this.#stopped = false;
    this.#mistaken = false;
    this.#running = this.#run().finally(() => (this.#running = undefined));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#link?.close(1000);
    this.#wake?.();
    await this.#running;
    this.#setConnection({ phase: "idle", retryAtMs: 0, tries: 0 });
  }

  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    return this.#link?.welcome ? this.#link.request(frame, inOrder) : Promise.reject(new ConnectionLost("not connected"));
  }

  wake(): void {
    if (!this.#link) this.#wake?.();
    else if (this.#link.welcome && this.#link.silentMs > PROBE_MS) this.#link.probe(PROBE_MS);
  }

  reportTimeout(): void {
    this.#link?.close(SILENT, "no answer");
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#setConnection({ phase: "connecting", retryAtMs: 0, tries: this.connection.tries + 1 });
      const closed = await this.#connectOnce();
      clearTimeout(this.#refresh);
      if (this.#stopped) return;
      if (closed === "ended" || closed.code === SESSION_ENDED) return this.#setConnection({ phase: "ended", retryAtMs: 0 });
      const { refusal } = closed;
      if (endsSession(refusal)) return this.#setConnection({ phase: "ended", retryAtMs: 0, ...withRefusal(refusal) });
      if (!invitesReconnect(closed.code)) return this.#setConnection({ phase: "refused", retryAtMs: 0, ...withRefusal(refusal) });
      const { code, opened, undecodable } = closed;
      this.#subprotocols.handleEnding({ code, opened, undecodable, answered: closed.welcomed || refusal !== undefined }, performance.now());
      if (code === CREDENTIAL_REFUSED || !closed.welcomed) this.#resume = undefined;
      const asked = refusal?.retryAfterMs ?? 0;
      this.#mustWaitUntilMs = performance.now() + Math.max(asked, this.#backoff.minMs);
      await this.#wait(Math.max(this.#backoff.next(), asked));
    }
  }

  async #connectOnce(): Promise<Closed | "ended"> {
    let credential: LinkOptions["signIn"]["credential"];
    try {
      credential = await this.#findCredential();
    } catch (error) {
      if (endsSession(error)) return "ended";
      return error instanceof RefusalError ? { ...NEVER_OPENED, refusal: error } : NEVER_OPENED;
    }
    if (this.#stopped) return NEVER_OPENED;
    const { options, host } = this;
    const subprotocols = this.#subprotocols.offer(performance.now());
    try {
      if (!subprotocols.includes(BINARY)) await loadJson();
      if (this.#stopped) return NEVER_OPENED;
      this.#link = new Link({
        url: options.sockets[this.#turn++ % options.sockets.length] ?? "",
        socket: options.webSocket,
        subprotocols,
        signIn: {
          credential,
          client: options.name,
          capabilities: canInflate() ? [Capability.DEFLATE_RAW] : [],
          resume: host.listPositions(),
          contract: CONTRACT,
        },
        connectMs: options.connectMs,
        answerMs: options.answerMs,
        onWelcome: (welcome) => this.#handleWelcome(welcome),
        onFrame: (frame) => {
          if (frame.case === "retry") this.#backoff.setRule(frame.value);
          else host.handleFrame(frame);
        },
        onBatch: (batch) => host.handleBatch(batch),
      });
    } catch {
      return NEVER_OPENED;
    }
    const closed = await this.#link.closed;
    this.#link = undefined;
    return this.#mistaken ? "ended" : closed;
  }

  async #findCredential(): Promise<LinkOptions["signIn"]["credential"]> {
    const resume = this.#resume;
    if (resume && performance.now() < resume.untilMs) return { case: "resumeToken", value: resume.token };
    return { case: "ticket", value: await this.options.http.ticket() };
  }

  #handleWelcome(welcome: Welcome): void {
    if (welcome.person !== this.options.person()) {
      this.#mistaken = true;
      this.#link?.close(1000);
      return;
    }
    const first = this.connection.phase !== "online";
    if (welcome.retry) this.#backoff.setRule(welcome.retry);
    this.host.handleClock(Number(welcome.timeMs) - Date.now());
    const lastsMs = Number(welcome.resumeTokenExpiresMs - welcome.timeMs);
    // By a clock that nobody sets.
    this.#resume = { token: welcome.resumeToken, untilMs: performance.now() + lastsMs - 5_000 };
    clearTimeout(this.#refresh);
    this.#refresh = setTimeout(() => this.request({ case: "refresh", value: {} }).catch(() => undefined), Math.max(lastsMs / 2, 10_000));
    if (!first) return;
    this.#backoff.reset();
    this.#setConnection({ phase: "online", retryAtMs: 0, tries: 0, gateway: welcome.gateway });
  }

  #setConnection(change: Partial<Connection>): void {
    const { refusal: _, ...rest } = this.connection;
    this.connection = { ...rest, ...change };
    this.host.handleConnection(this.connection);
  }

  async #wait(ms: number): Promise<void> {
    this.#setConnection({ phase: "waiting", retryAtMs: Date.now() + ms });
    await new Promise<void>((resolve) => {
      let timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        const restMs = this.#stopped ? 0 : this.#mustWaitUntilMs - performance.now();
        if (restMs <= 0) resolve();
        else timer = setTimeout(resolve, restMs);
      };
    });
    this.#wake = undefined;
  }
}

function withRefusal(refusal: RefusalError | undefined): { refusal: RefusalError } | Record<never, never> {
  return refusal ? { refusal } : {};
}
