// The client: one person signed in, one line for everything, conversations, and an outbox that gets through.
import { ChangeTeller, type Changes } from "./changes.js";
import type { Subprotocol } from "./codec.js";
import { DirectLine } from "./direct.js";
import { ConnectionLost, RefusalCode, RefusalError, endsSession } from "./errors.js";
import { Http, type SessionInfo } from "./http.js";
import type { PostContent } from "./kinds/index.js";
import { type Connection, IDLE, type Line, type LineHost, type ResumePosition } from "./line.js";
import type { ClientFrameBody, InOrder, LiveBatch, ServerFrameBody, SocketConstructor } from "./link.js";
import type { Outbox, Outgoing } from "./outbox.js";
import { Posting } from "./posting.js";
import { Room, type RoomHost } from "./room.js";
import { type Services, createServices } from "./services.js";
import { Signal } from "./signal.js";
import { type OutboxStore, SafeStore, defaultStore } from "./store.js";
import { type Tabs, browserTabs } from "./tabs/platform.js";
import { SharedLine } from "./tabs/shared.js";

export interface ClientOptions {
  /** The service's address, like `https://hall.example.cn`; in a page, its own by default. */
  url?: string;
  /** Addresses of the socket where there are several gateways; by default `/ws` of `url`. */
  sockets?: string[];
  /** A bearer token from an earlier sign-in; pages have a cookie instead. */
  token?: string;
  /** Name and version of the program, for the operators; at most 64 characters. */
  name?: string;
  /** Where there is no WebSocket (Node before 22): `WebSocket` of `@yitang/sdk/node`. */
  webSocket?: SocketConstructor;
  fetch?: typeof fetch;
  /** Where posts are kept until their receipt: IndexedDB in a browser; elsewhere memory, unless another is given. Where it
   * fails, they stay in memory until it works again: see `durable`. */
  store?: OutboxStore;
  subprotocols?: Subprotocol[];
  /** Until a socket has signed in, milliseconds. */
  connectMs?: number;
  /** Until an answer, milliseconds. */
  answerMs?: number;
  random?: () => number;
  /** How tabs of one browser share one socket; by default as the browser can. `false`: each has its own. */
  tabs?: Tabs | false;
}

/** Conversations that one sign-in goes on with (the contract's bound). */
const RESUMES_MOST = 300;

export class Client implements RoomHost {
  readonly http: Http;
  readonly services: Services;
  /** The connection has changed. */
  readonly connectionChanged = new Signal<Connection>();
  /** Something of this person's has changed outside the rooms that are followed: see `Changes`. What is told over a line that
   * breaks is not told again: list again when the connection becomes `online`. */
  readonly changes: Signal<Changes>;
  connection: Connection = IDLE;
  session: SessionInfo | undefined;
  readonly #options: ClientOptions;
  readonly #rooms = new Map<string, Room>();
  readonly #store: SafeStore;
  readonly #posting: Posting;
  #line: Line | undefined;
  readonly #shared: SharedLine | undefined;
  #started = false;
  #clockOffsetMs = 0;
  readonly #teller: ChangeTeller;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#teller = new ChangeTeller(options.random ?? Math.random);
    this.changes = this.#teller.told;
    const url = (options.url ?? globalThis.location?.origin ?? "").replace(/\/$/, "");
    const call = options.fetch ?? globalThis.fetch.bind(globalThis);
    const answerMs = options.answerMs ?? 15_000;
    this.http = new Http({ url, token: options.token, fetch: call, timeoutMs: answerMs });
    this.services = createServices(this.http.options);
    const client = this;
    this.#store = SafeStore.around(options.store ?? defaultStore());
    // A disk that came back may hold what could not be loaded before; `durable` may have changed.
    this.#store.changed.on(() => void (this.#started && this.#takeOverSending()));
    this.#posting = new Posting(this.#store, {
      request: (frame) => this.request(frame),
      get online() {
        return client.online;
      },
      get sends() {
        return client.#line !== client.#shared || (client.#shared?.leads ?? true);
      },
      reportTimeout: () => this.#line?.reportTimeout(),
      shareChange: (change) => this.#shared?.shareChange(change),
      findDelivered: (conversation) => this.#rooms.get(conversation)?.follower.delivered,
    });
    const tabs = options.tabs === undefined ? browserTabs() : options.tabs;
    if (tabs) {
      this.#shared = new SharedLine(tabs, url, () => this.session?.person ?? 0, answerMs, this.#createHost(), (host) => this.#createDirectLine(host), {
        applyChange: (change) => this.#posting.applyChange(change),
        // What is still being written down is this tab's own.
        listOutbox: () => this.outbox.list().filter((post) => post.notBeforeMs < Infinity),
        handleLead: () => void this.#takeOverSending(),
        handleSignedOut: () => void this.#handleSignedOutElsewhere(),
      });
    }
  }

  /** Everything on its way. */
  get outbox(): Outbox {
    return this.#posting.outbox;
  }
  /** Whether posts without a receipt outlive this page or program. False where the disk is full, forbidden or broken, and
   * where the store is memory: then leaving loses what is unsent. `outboxChanged` tells when this may have changed. */
  get durable(): boolean {
    return this.#store.durable;
  }
  /** A post has changed its state. */
  get outboxChanged(): Signal<Outgoing | undefined> {
    return this.#posting.changed;
  }

  // ---- who it is

  /** Signs in with a password. Programs get a bearer token, pages a cookie. */
  async signIn(login: string, password: string): Promise<SessionInfo> {
    return this.#handleSignedIn(await this.http.signIn(login, password, this.#name, this.#wantsToken));
  }

  /** Signs in by a one-use link's secret (what stands after `#`), and sets a password. */
  async signInByLink(link: string, newPassword: string): Promise<SessionInfo> {
    return this.#handleSignedIn(await this.http.signInByLink(link, newPassword, this.#name, this.#wantsToken));
  }

  /** Signs in as the screen of one consultation, by a display link's secret (what stands after `#`): reading only, with a
   * token that this client alone holds, so that a member's session in the same browser stays as it is. The link is good
   * again and again. Throws RefusalError (LINK_INVALID) where it has ended: trying again does not help then. */
  async signInDisplay(secret: string): Promise<SessionInfo> {
    return this.#handleSignedIn(await this.http.signInDisplay(secret, this.#name));
  }

  /** The session that this browser or token has, if it still stands. Throws ConnectionLost where that is not known. */
  async restore(): Promise<SessionInfo | undefined> {
    try {
      return this.#handleSignedIn(await this.http.session());
    } catch (error) {
      if (endsSession(error)) return undefined;
      throw error;
    }
  }

  /** Ends the session, in all tabs of this browser. Posts without a receipt stay in the store for this person. */
  async signOut(): Promise<void> {
    await this.http.signOut();
    this.#shared?.sendSignedOut();
    await this.stop();
    this.session = undefined;
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

  /** Connects, and stays connected until `stop`. Throws RefusalError (UNAUTHENTICATED) where nobody is signed in. */
  async start(): Promise<void> {
    if (!this.session && !(await this.restore())) throw new RefusalError(RefusalCode.UNAUTHENTICATED, "请先登录。", "Please sign in.");
    if (this.#started) return;
    this.#started = true;
    await this.#posting.load(this.session?.person ?? 0);
    if (!this.#started) return;
    // A bearer token is this client's alone; a cookie is all tabs'.
    const shared = this.http.options.token === undefined ? this.#shared : undefined;
    this.#line = shared ?? (this.#line && this.#line !== this.#shared ? this.#line : this.#createDirectLine(this.#createHost()));
    this.#line.start();
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#teller.stop();
    await this.#line?.stop();
  }

  /** The network or the page came back: try now, or ask whether the line still lives. */
  wake(): void {
    this.#line?.wake();
  }

  /** Asks the service over the line. Throws RefusalError, or ConnectionLost where no answer comes. */
  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    return this.online && this.#line ? this.#line.request(frame, inOrder) : Promise.reject(new ConnectionLost("not connected"));
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
    this.request({ case: "unsubscribe", value: { conversation: room.id } }).catch(() => undefined);
  }

  /** Keeps a post, then sends it until it is answered. It is on the disk when this returns. */
  post(conversation: string, content: PostContent): Promise<Outgoing> {
    return this.#posting.post(this.session?.person ?? 0, conversation, content);
  }

  /** Sends a refused post once more. */
  retry(clientId: string): Promise<void> {
    return this.#posting.retry(clientId);
  }

  /** Throws a post away that has not reached the log. */
  discard(clientId: string): Promise<void> {
    return this.#posting.discard(clientId);
  }

  /** A post done with: resolves when it is shown, held or refused; where it is thrown away, with how it stood last. */
  settled(clientId: string): Promise<Outgoing> {
    return this.#posting.settled(clientId);
  }

  /** For rooms: what has been seen in the log needs no copy in the outbox. */
  handleDelivered(room: Room): void {
    this.#posting.dropDelivered(room.id, room.follower.delivered);
  }

  // ---- inside

  get #name(): string {
    return (this.#options.name ?? "yitang-sdk").slice(0, 64);
  }

  get #wantsToken(): boolean {
    return typeof document === "undefined";
  }

  #handleSignedIn(info: SessionInfo): SessionInfo {
    this.session = info;
    if (info.token) this.http.options.token = info.token;
    return info;
  }

  async #handleSignedOutElsewhere(): Promise<void> {
    await this.stop();
    this.#createHost().handleConnection({ ...IDLE, phase: "ended" });
  }

  /** This tab holds the line now: what other tabs have kept and not sent is its to send. */
  async #takeOverSending(): Promise<void> {
    await this.#posting.load(this.session?.person ?? 0);
    this.#posting.flush();
  }

  #createDirectLine(host: LineHost): DirectLine {
    const { sockets, webSocket, subprotocols, connectMs = 10_000, random = Math.random } = this.#options;
    const { url, timeoutMs: answerMs } = this.http.options;
    return new DirectLine(
      {
        http: this.http,
        person: () => this.session?.person ?? 0,
        name: this.#name,
        sockets: sockets?.length ? sockets : [`${url.replace(/^http/, "ws")}/ws`],
        webSocket: webSocket ?? (globalThis.WebSocket as unknown as SocketConstructor),
        subprotocols,
        connectMs,
        answerMs,
        random,
      },
      host,
    );
  }

  #createHost(): LineHost {
    return {
      listPositions: () => this.#listPositions(),
      handleConnection: (connection) => this.#handleConnection(connection),
      handleFrame: (frame) => this.#handleFrame(frame),
      handleBatch: (batch: LiveBatch) => this.#rooms.get(batch.conversation)?.handleBatch(batch),
      handleClock: (offsetMs) => (this.#clockOffsetMs = offsetMs),
    };
  }

  #listPositions(): ResumePosition[] {
    const standings: ResumePosition[] = [];
    for (const room of this.#rooms.values()) {
      const position = room.phase === "live" ? room.follower.position : undefined;
      if (!position || standings.length === RESUMES_MOST) continue;
      room.resuming = true;
      standings.push({ conversation: room.id, epoch: position.epoch, seq: BigInt(position.seq) });
    }
    return standings;
  }

  #handleConnection(connection: Connection): void {
    const was = this.connection.phase;
    this.connection = connection;
    const isUp = connection.phase === "online" && was !== "online";
    if (!isUp && was === "online") this.#posting.handleDisconnect();
    if (connection.phase !== "online") for (const room of this.#rooms.values()) room.resuming = false;
    if (connection.phase === "ended" || connection.phase === "refused") this.#started = false;
    this.connectionChanged.emit(connection);
    if (!isUp) return;
    for (const room of this.#rooms.values()) if (!room.resuming) void room.subscribe();
    this.#posting.flush();
  }

  #handleFrame(frame: ServerFrameBody): void {
    switch (frame.case) {
      case "subscribed":
        return this.#rooms.get(frame.value.position?.conversation ?? "")?.handleSubscribed(frame.value);
      case "unsubscribed": {
        const { conversation, reason } = frame.value;
        return this.#rooms.get(conversation)?.handleUnsubscribed(reason && RefusalError.of(reason));
      }
      case "state": {
        const room = this.#rooms.get(frame.value.conversation);
        const { state } = frame.value;
        if (state.case === "room") room?.handleRoomState(state.value);
        else if (state.case === "post") room?.handlePostState(state.value);
        else if (state.case === "typing") room?.handleTyping(state.value.people);
        return;
      }
      case "tops":
        for (const top of frame.value.tops) this.#rooms.get(top.position?.conversation ?? "")?.handleTop(top);
        return;
      case "readMoved":
        return this.#rooms.get(frame.value.conversation)?.handleReadMoved(Number(frame.value.mseq));
      case "changes":
        return this.#teller.tell(frame.value);
      case "refusal":
        // It does not say which resume it refuses: ask for each that is open, by name.
        for (const room of this.#rooms.values()) if (room.resuming) void room.subscribe();
        return;
      default:
        return;
    }
  }
}
