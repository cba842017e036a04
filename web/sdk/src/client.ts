// The client: one person signed in, one socket for everything, an outbox that gets through.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Backoff } from "./backoff.js";
import { BINARY, JSON_TEXT, type Subprotocol, canInflate } from "./codec.js";
import { ConnectionLost, RefusalError, endsSession } from "./errors.js";
import type { ConversationKind } from "./gen/event_pb.js";
import { Capability, ReceiptState, type SignInSchema, type Welcome } from "./gen/socket_pb.js";
import { Http, type SessionInfo } from "./http.js";
import { type ClientFrameBody, type Closed, Link, type ServerFrameBody, type SocketConstructor, SILENT, invitesReconnect } from "./link.js";
import { Outbox, type Outgoing, type PostContent, isKept } from "./outbox.js";
import { Room, type RoomHost } from "./room.js";
import { type Services, servicesOf } from "./services.js";
import { Signal } from "./signal.js";
import { type OutboxStore, defaultStore } from "./store.js";
import { uuidv7 } from "./uuid.js";

export interface ClientOptions {
  /** The service's address, like `https://hall.example.cn`; in a page, its own by default. */
  url?: string;
  /** Addresses of the socket where there are several gateways; by default `/ws` of `url`. */
  sockets?: string[];
  /** A bearer token from an earlier sign-in; pages have a cookie instead. */
  token?: string;
  /** Name and version of the program, for the operators; at most 64 characters. */
  name?: string;
  /** Where there is no WebSocket (Node before 22): the `ws` package's. */
  webSocket?: SocketConstructor;
  fetch?: typeof fetch;
  store?: OutboxStore;
  subprotocols?: Subprotocol[];
  connectMs?: number;
  answerMs?: number;
  random?: () => number;
}

/** `idle` before start and after stop; `connecting`; `online`; `waiting` for the next try; `ended`: sign in again;
 * `refused`: the service will not have this client, and coming back does not help. */
export type Phase = "idle" | "connecting" | "online" | "waiting" | "ended" | "refused";

export interface Connection {
  phase: Phase;
  /** When the next try is due, milliseconds since 1970; 0: none is planned. */
  retryAtMs: number;
  /** Tries since the line was last good. */
  tries: number;
  gateway: string;
  refusal?: RefusalError;
}

const CREDENTIAL_REFUSED = 3005;
const PROBE_MS = 4_000;

export class Client implements RoomHost {
  readonly http: Http;
  readonly services: Services;
  readonly outbox = new Outbox();
  /** The connection has changed. */
  readonly connectionChanged = new Signal<Connection>();
  /** A post has changed its state. */
  readonly outboxChanged = new Signal<Outgoing | undefined>();
  /** This person has become part of a conversation. */
  readonly conversationAdded = new Signal<{ conversation: string; kind: ConversationKind }>();
  connection: Connection = { phase: "idle", retryAtMs: 0, tries: 0, gateway: "" };
  session: SessionInfo | undefined;
  readonly #options: ClientOptions;
  readonly #store: OutboxStore;
  readonly #rooms = new Map<string, Room>();
  readonly #backoff: Backoff;
  #subprotocols: Subprotocol[];
  #link: Link | undefined;
  #running: Promise<void> | undefined;
  #stopped = true;
  #wake: (() => void) | undefined;
  #resume: { token: string; untilMs: number } | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #clockOffsetMs = 0;
  #socketTurn: number;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    const url = (options.url ?? globalThis.location?.origin ?? "").replace(/\/$/, "");
    const call = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.http = new Http({ url, token: options.token, fetch: call, timeoutMs: options.answerMs ?? 15_000 });
    this.services = servicesOf(this.http.options);
    this.#store = options.store ?? defaultStore();
    this.#backoff = new Backoff(undefined, options.random);
    this.#subprotocols = options.subprotocols ?? [BINARY, JSON_TEXT];
    this.#socketTurn = Math.floor((options.random ?? Math.random)() * 1_000);
  }

  // ---- who it is

  /** Signs in with a password. Programs get a bearer token, pages a cookie. */
  async signIn(login: string, password: string): Promise<SessionInfo> {
    return this.#signedIn(await this.http.signIn(login, password, this.#name, this.#wantsToken));
  }

  /** Signs in by a one-use link's secret (what stands after `#`), and sets a password. */
  async signInByLink(link: string, newPassword: string): Promise<SessionInfo> {
    return this.#signedIn(await this.http.signInByLink(link, newPassword, this.#name, this.#wantsToken));
  }

  /** The session that this browser or token has, if it still stands. Throws ConnectionLost where that is not known. */
  async restore(): Promise<SessionInfo | undefined> {
    try {
      return this.#signedIn(await this.http.session());
    } catch (error) {
      if (endsSession(error)) return undefined;
      throw error;
    }
  }

  async signOut(): Promise<void> {
    await this.http.signOut();
    await this.stop();
    this.session = undefined;
    this.#resume = undefined;
    this.http.options.token = undefined;
  }

  /** The server's clock now; the device's may be wrong. */
  now(): number {
    return Date.now() + this.#clockOffsetMs;
  }

  // ---- the line

  get online(): boolean {
    return this.connection.phase === "online";
  }

  /** Connects, and stays connected until `stop`. */
  async start(): Promise<void> {
    if (!this.session && !(await this.restore())) throw new ConnectionLost("nobody is signed in");
    if (this.#running) return;
    this.#stopped = false;
    await this.#loadOutbox();
    this.#running = this.#run().finally(() => (this.#running = undefined));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#link?.close(1000);
    this.#wake?.();
    await this.#running;
    this.#set({ phase: "idle", retryAtMs: 0, tries: 0 });
  }

  /** The network or the page came back: try now, or ask whether the line still lives. */
  nudge(): void {
    if (this.#link?.welcome) {
      if (this.#link.silentMs > PROBE_MS) this.#link.probe(PROBE_MS);
    } else this.#wake?.();
  }

  request(frame: ClientFrameBody): Promise<ServerFrameBody> {
    return this.#link?.welcome ? this.#link.request(frame) : Promise.reject(new ConnectionLost("not connected"));
  }

  // ---- conversations

  /** Follows a conversation; call `leave` when done. */
  enter(conversation: string): Room {
    let room = this.#rooms.get(conversation);
    if (!room) {
      room = new Room(conversation, this);
      this.#rooms.set(conversation, room);
      if (this.online) void room.subscribe();
    }
    room.enter();
    return room;
  }

  leave(room: Room): void {
    if (!room.leave() || this.#rooms.get(room.id) !== room) return;
    this.#rooms.delete(room.id);
    room.dispose();
    if (this.online) this.request({ case: "unsubscribe", value: { conversation: room.id } }).catch(() => undefined);
  }

  /** Keeps a post, then sends it until it is answered. It is on the disk when this returns. */
  async post(conversation: string, content: PostContent): Promise<Outgoing> {
    const person = this.session?.person ?? 0;
    const post = this.outbox.add({ clientId: uuidv7(), person, conversation, createdMs: Date.now(), content });
    this.outboxChanged.emit(post);
    await this.#store.put(post);
    this.#flush();
    return post;
  }

  /** Sends a refused post once more. */
  async retry(clientId: string): Promise<void> {
    const post = this.outbox.retry(clientId);
    if (!post) return;
    await this.#store.put(post);
    this.outboxChanged.emit(post);
    this.#flush();
  }

  /** Throws a post away that has not reached the log. */
  async discard(clientId: string): Promise<void> {
    this.outbox.drop(clientId);
    await this.#store.remove(clientId);
    this.outboxChanged.emit(undefined);
  }

  /** A post done with: resolves when it is shown, held or refused. */
  settled(clientId: string): Promise<Outgoing> {
    return new Promise((resolve) => {
      const look = (post = this.outbox.get(clientId)) => {
        if (post?.clientId !== clientId || post.state === "waiting" || post.state === "sending") return;
        stop();
        resolve(post);
      };
      const stop = this.outboxChanged.on((post) => look(post ?? undefined));
      look();
    });
  }

  /** For rooms: what has been seen in the log needs no copy here. */
  delivered(room: Room): void {
    for (const post of this.outbox.list(room.id)) {
      if (post.state === "shown" && post.seq <= room.follower.delivered && this.outbox.drop(post.clientId)) {
        this.outboxChanged.emit(post);
      }
    }
  }

  // ---- inside

  get #name(): string {
    return (this.#options.name ?? "yitang-sdk").slice(0, 64);
  }

  get #wantsToken(): boolean {
    return typeof document === "undefined";
  }

  #signedIn(info: SessionInfo): SessionInfo {
    if (this.session && this.session.session !== info.session) this.#resume = undefined;
    this.session = info;
    if (info.token) this.http.options.token = info.token;
    return info;
  }

  async #loadOutbox(): Promise<void> {
    this.outbox.load(await this.#store.load(this.session?.person ?? 0));
    this.outboxChanged.emit(undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#set({ phase: "connecting", retryAtMs: 0, tries: this.connection.tries + 1 });
      const closed = await this.#connectOnce();
      clearTimeout(this.#refresh);
      clearTimeout(this.#flushTimer);
      this.outbox.lineLost();
      this.outboxChanged.emit(undefined);
      if (this.#stopped) return;
      if (closed === "ended") return this.#set({ phase: "ended", retryAtMs: 0 });
      if (closed.undecodable) this.#subprotocols = [JSON_TEXT];
      if (closed.refusal?.code !== undefined && endsSession(closed.refusal)) {
        return this.#set({ phase: "ended", retryAtMs: 0, refusal: closed.refusal });
      }
      if (closed.code === 3500) return this.#set({ phase: "ended", retryAtMs: 0 });
      if (!invitesReconnect(closed.code)) {
        const refusal = closed.refusal;
        return this.#set({ phase: "refused", retryAtMs: 0, ...(refusal ? { refusal } : {}) });
      }
      if (closed.code === CREDENTIAL_REFUSED || !closed.welcomed) this.#resume = undefined;
      await this.#wait(Math.max(this.#backoff.next(), closed.refusal?.retryAfterMs ?? 0));
    }
  }

  async #connectOnce(): Promise<Closed | "ended"> {
    const failed: Closed = { code: 1006, reason: "", undecodable: false, welcomed: false };
    let credential: MessageInitShape<typeof SignInSchema>["credential"];
    try {
      credential = await this.#credential();
    } catch (error) {
      if (endsSession(error)) return "ended";
      return error instanceof RefusalError ? { ...failed, refusal: error } : failed;
    }
    if (this.#stopped) return failed;
    const resume = [...this.#rooms.values()].flatMap((room) => {
      const position = room.phase === "live" ? room.follower.position : undefined;
      if (!position) return [];
      room.resuming();
      return [{ conversation: room.id, epoch: position.epoch, seq: BigInt(position.seq) }];
    });
    const urls = this.#socketUrls();
    let link: Link;
    try {
      link = new Link({
        url: urls[this.#socketTurn++ % urls.length] ?? "",
        socket: this.#options.webSocket ?? (globalThis.WebSocket as unknown as SocketConstructor),
        subprotocols: this.#subprotocols,
        signIn: {
          credential,
          client: this.#name,
          capabilities: canInflate() ? [Capability.DEFLATE_RAW] : [],
          resume: resume.slice(0, 300),
        },
        connectMs: this.#options.connectMs ?? 10_000,
        answerMs: this.#options.answerMs ?? 15_000,
        onWelcome: (welcome) => this.#welcomed(welcome),
        onFrame: (frame) => this.#frame(frame),
        onBatch: (batch, events) => this.#rooms.get(batch.conversation)?.onBatch(batch, events),
      });
    } catch {
      return failed;
    }
    this.#link = link;
    const closed = await link.closed;
    this.#link = undefined;
    return closed;
  }

  async #credential(): Promise<MessageInitShape<typeof SignInSchema>["credential"]> {
    const resume = this.#resume;
    if (resume && performance.now() < resume.untilMs) return { case: "resumeToken", value: resume.token };
    return { case: "ticket", value: await this.http.ticket() };
  }

  #socketUrls(): string[] {
    const { sockets } = this.#options;
    if (sockets && sockets.length > 0) return sockets;
    return [`${this.http.options.url.replace(/^http/, "ws")}/ws`];
  }

  #welcomed(welcome: Welcome): void {
    const first = !this.online;
    if (welcome.retry) this.#backoff.take(welcome.retry);
    this.#clockOffsetMs = Number(welcome.timeMs) - Date.now();
    const lastsMs = Number(welcome.resumeTokenExpiresMs - welcome.timeMs);
    // By a clock that nobody sets.
    this.#resume = { token: welcome.resumeToken, untilMs: performance.now() + lastsMs - 5_000 };
    clearTimeout(this.#refresh);
    this.#refresh = setTimeout(() => this.request({ case: "refresh", value: {} }).catch(() => undefined), Math.max(lastsMs / 2, 10_000));
    if (!first) return;
    this.#backoff.reset();
    this.#set({ phase: "online", retryAtMs: 0, tries: 0, gateway: welcome.gateway });
    for (const room of this.#rooms.values()) if (!room.isResuming) void room.subscribe();
    this.#flush();
  }

  #frame(frame: ServerFrameBody): void {
    switch (frame.case) {
      case "subscribed":
        return this.#rooms.get(frame.value.position?.conversation ?? "")?.onSubscribed(frame.value);
      case "unsubscribed": {
        const { conversation, reason } = frame.value;
        return this.#rooms.get(conversation)?.onUnsubscribed(reason && RefusalError.of(reason));
      }
      case "state": {
        const room = this.#rooms.get(frame.value.conversation);
        const { state } = frame.value;
        if (state.case === "room") room?.onRoomState(state.value);
        else if (state.case === "post") room?.onPostState(state.value);
        else if (state.case === "typing") room?.onTyping(state.value.people);
        return;
      }
      case "tops":
        for (const top of frame.value.tops) this.#rooms.get(top.position?.conversation ?? "")?.onTop(top);
        return;
      case "retry":
        return this.#backoff.take(frame.value);
      case "readMoved":
        return this.#rooms.get(frame.value.conversation)?.onReadMoved(Number(frame.value.mseq));
      case "conversationAdded":
        return this.conversationAdded.emit({ conversation: frame.value.conversation, kind: frame.value.kind });
      case "refusal":
        // It does not say which resume it refuses: ask for each that is open, by name.
        for (const room of this.#rooms.values()) if (room.isResuming) void room.subscribe();
        return;
      default:
        return;
    }
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    if (!this.online) return;
    for (const post of this.outbox.take(Date.now())) {
      this.outboxChanged.emit(post);
      void this.#send(post);
    }
    const wakeMs = this.outbox.wakeMs();
    if (wakeMs !== undefined) this.#flushTimer = setTimeout(() => this.#flush(), Math.max(wakeMs - Date.now(), 50));
  }

  async #send(post: Outgoing): Promise<void> {
    const { clientId, conversation } = post;
    const link = this.#link;
    try {
      const answer = await this.request({ case: "post", value: { conversation, clientId, content: wire(post.content) } });
      if (answer.case === "receipt") {
        const { position, state } = answer.value;
        const seq = Number(position?.seq ?? 0n);
        const done = this.outbox.receipt(clientId, seq, state === ReceiptState.HELD);
        this.outboxChanged.emit(done);
        await this.#store.remove(clientId);
        const room = this.#rooms.get(conversation);
        if (room) this.delivered(room);
        else if (done?.state === "shown") this.outbox.drop(clientId);
      }
    } catch (error) {
      if (error instanceof RefusalError && !endsSession(error)) {
        const refused = this.outbox.refused(clientId, error, Date.now());
        if (refused && isKept(refused)) await this.#store.put(refused);
        this.outboxChanged.emit(refused);
      } else {
        this.outbox.unanswered(clientId);
        this.outboxChanged.emit(undefined);
        // No answer in time on a line that looks alive: it is not.
        if (error instanceof ConnectionLost) link?.close(SILENT, "no answer");
      }
    }
    this.#flush();
  }

  #set(change: Partial<Connection>): void {
    const { refusal: _, ...rest } = this.connection;
    this.connection = { ...rest, ...change };
    this.connectionChanged.emit(this.connection);
  }

  async #wait(ms: number): Promise<void> {
    this.#set({ phase: "waiting", retryAtMs: Date.now() + ms });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

function wire(content: PostContent) {
  switch (content.case) {
    case "comment":
      return { case: "comment" as const, value: { text: content.text, replyTo: BigInt(content.replyTo) } };
    case "edit":
      return { case: "edit" as const, value: { target: BigInt(content.target), text: content.text } };
    default:
      return { case: content.case, value: { target: BigInt(content.target), reason: content.reason } };
  }
}
