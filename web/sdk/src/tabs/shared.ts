// One line for all tabs of a browser. The tab that has the Web Lock leads: it holds the socket, and says on a
// BroadcastChannel what comes. The others ask it. When it is closed, the browser gives the lock to another tab; when it
// is frozen, another takes it. Each tab follows its conversations by itself, so a change of leaders is to it what a
// broken line is: it goes on from where it stands.
import { ConnectionLost } from "../errors.js";
import { type Connection, IDLE, type Line, type LineHost } from "../line.js";
import type { ClientFrameBody, InOrder, ServerFrameBody } from "../link.js";
import { Verdict } from "../gen/socket_pb.js";
import type { Outgoing } from "../outbox.js";
import type { OutboxChange } from "../posting.js";
import { uuidv7 } from "../uuid.js";
import { Asks } from "./asks.js";
import { type FromLeader, type Message, type Said, type ToLeader, connectionOf, errorOf, plainConnection, troubleOf } from "./messages.js";
import type { TabChannel, Tabs } from "./platform.js";
import { Switchboard } from "./switchboard.js";
import { PING_MS, Vigil } from "./vigil.js";

/** What the tabs share beside the line. */
export interface SharedHost {
  /** Another tab has changed its outbox. */
  changed(change: OutboxChange): void;
  all(): Outgoing[];
  /** This tab has become the one that sends. */
  leads(): void;
  signedOut(): void;
}

export class SharedLine implements Line {
  connection: Connection = IDLE;
  readonly #asks: Asks;
  #started = false;
  #id = "";
  #channel: TabChannel | undefined;
  /** Ends this tab's wish to lead. */
  #seeking: AbortController | undefined;
  /** Lets go of what this tab holds. */
  #release: (() => void) | undefined;
  #present: (() => void) | undefined;
  #direct: Line | undefined;
  #board: Switchboard | undefined;
  /** Tabs whose end will be heard of. */
  readonly #watched = new Set<string>();
  #leader: string | undefined;
  #vigil: Vigil | undefined;
  #beat: ReturnType<typeof setInterval> | undefined;
  #offsetMs = 0;

  constructor(
    private readonly tabs: Tabs,
    private readonly url: string,
    private readonly person: () => number,
    answerMs: number,
    private readonly host: LineHost,
    private readonly makeDirect: (host: LineHost) => Line,
    private readonly shared: SharedHost,
  ) {
    this.#asks = new Asks(answerMs);
  }

  /** Whether this tab holds the line. */
  get leads(): boolean {
    return this.#direct !== undefined;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const name of ["pagehide", "freeze"]) this.tabs.events.addEventListener(name, this.#away);
    for (const name of ["pageshow", "resume"]) this.tabs.events.addEventListener(name, this.#back);
    this.#enter();
  }

  async stop(): Promise<void> {
    this.#started = false;
    for (const name of ["pagehide", "freeze"]) this.tabs.events.removeEventListener(name, this.#away);
    for (const name of ["pageshow", "resume"]) this.tabs.events.removeEventListener(name, this.#back);
    await this.#withdraw(IDLE);
    if (this.connection.phase !== "idle") this.#set(IDLE);
  }

  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    if (this.#board) return this.#board.request(this.#id, frame, inOrder);
    if (!this.#leader) return Promise.reject(new ConnectionLost("not connected"));
    return this.#asks.ask((id) => this.#say({ t: "ask", id, frame }), inOrder);
  }

  nudge(): void {
    if (this.#direct) return this.#direct.nudge();
    if (!this.#vigil) return;
    this.#say({ t: "ping", nudge: true });
    const waitMs = this.#vigil.hurry(performance.now());
    setTimeout(() => this.#look(), waitMs + 10);
  }

  distrust(): void {
    if (this.#direct) this.#direct.distrust();
    else this.nudge();
  }

  share(change: OutboxChange): void {
    this.#say({ t: "outbox", change });
  }

  tellSignedOut(): void {
    this.#say({ t: "signedOut" });
  }

  // ---- coming and going

  /** A page that is put away lets another lead at once. */
  readonly #away = () => void this.#withdraw({ ...IDLE, phase: "connecting" });
  readonly #back = () => {
    if (this.#started && !this.#channel) this.#enter();
  };

  /** The number counts the versions of what tabs say to each other: those of another keep to themselves. */
  get #name(): string {
    return `yitang 1 ${this.url} ${this.person()}`;
  }

  #enter(): void {
    this.#id = uuidv7();
    const channel = this.tabs.channel(this.#name);
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      if (channel === this.#channel) this.#heard(data as Message);
    };
    this.#hold(this.#presence(this.#id), (release) => (this.#present = release)).catch(() => undefined);
    this.#set({ ...IDLE, phase: "connecting" });
    this.#seek(false);
    this.#say({ t: "hello" });
    this.#vigil = new Vigil(performance.now());
    this.#beat = setInterval(() => this.#look(), PING_MS);
  }

  async #withdraw(standing: Connection): Promise<void> {
    const channel = this.#channel;
    if (!channel) return;
    if (this.leads) this.#say({ t: "resigns" });
    clearInterval(this.#beat);
    this.#vigil = undefined;
    this.#channel = undefined;
    channel.onmessage = null;
    channel.close();
    this.#leader = undefined;
    this.#seeking?.abort();
    this.#present?.();
    const losing = this.#lose();
    if (this.connection.phase !== standing.phase) this.#set(standing);
    await losing;
  }

  #presence(tab: string): string {
    return `${this.#name} ${tab}`;
  }

  /** Holds a lock from when it is granted until `release` is called. Rejects when it is taken away, or never given. */
  #hold(name: string, granted: (release: () => void) => void, options: LockOptions = {}): Promise<unknown> {
    return this.tabs.locks.request(name, options, () => new Promise<void>((release) => granted(release)));
  }

  // ---- leading

  #seek(steal: boolean): void {
    this.#seeking?.abort();
    const seeking = new AbortController();
    this.#seeking = seeking;
    const options: LockOptions = steal ? { steal: true } : { signal: seeking.signal };
    let held = false;
    this.#hold(
      this.#name,
      (release) => {
        // Granted just as it was given up.
        if (seeking.signal.aborted) return release();
        held = true;
        this.#release = release;
        this.#lead();
      },
      options,
    ).then(
      () => undefined,
      (error: unknown) => {
        if (seeking.signal.aborted || this.#seeking !== seeking) return;
        // Another tab took it, this one having been still for too long; or locks are forbidden here: then a line of its own.
        if (held) void this.#deposed();
        else if ((error as { name?: string } | null)?.name !== "AbortError") this.#lead();
      },
    );
  }

  #lead(): void {
    this.#leader = undefined;
    this.#asks.failAll();
    const direct = this.makeDirect({
      positions: () => {
        // A new socket follows nothing yet: each tab subscribes again when it hears that the line stands.
        this.#board?.clear();
        const standings = this.host.positions();
        for (const { conversation } of standings) this.#board?.follows(this.#id, conversation);
        return standings;
      },
      onConnection: (connection) => {
        if (direct !== this.#direct) return;
        this.#set(connection);
        this.#say({ t: "line", connection: plainConnection(connection), offsetMs: this.#offsetMs });
        // Each tab learns from the service itself that it is over.
        if (connection.phase === "ended" || connection.phase === "refused") void this.#retire();
      },
      onFrame: (frame) => {
        this.host.onFrame(frame);
        if (concernsAll(frame)) this.#say({ t: "frame", frame });
      },
      onBatch: (batch) => {
        this.host.onBatch(batch);
        if (this.#board?.othersFollow(this.#id, batch.conversation)) this.#say({ t: "batch", batch });
      },
      onClock: (offsetMs) => {
        this.#offsetMs = offsetMs;
        this.host.onClock(offsetMs);
      },
    });
    this.#direct = direct;
    this.#board = new Switchboard(
      (frame, inOrder) => direct.request(frame, inOrder),
      (frame) => {
        this.host.onFrame(frame);
        this.#say({ t: "frame", frame });
      },
    );
    this.#introduce();
    this.shared.leads();
    direct.start();
  }

  #introduce(): void {
    this.#say({ t: "leads", connection: plainConnection(this.connection), offsetMs: this.#offsetMs, outbox: this.shared.all() });
  }

  /** Ends this tab's leading, if it leads. */
  async #lose(): Promise<void> {
    const direct = this.#direct;
    this.#direct = undefined;
    this.#board = undefined;
    this.#watched.clear();
    this.#release?.();
    this.#release = undefined;
    this.#asks.failAll();
    await direct?.stop();
  }

  async #deposed(): Promise<void> {
    const losing = this.#lose();
    this.#set({ ...IDLE, phase: "connecting" });
    await losing;
    if (!this.#channel) return;
    this.#seek(false);
    this.#say({ t: "hello" });
  }

  /** The service will not have this tab: it stops here, and the next one tries. */
  async #retire(): Promise<void> {
    this.#started = false;
    await this.#withdraw(this.connection);
  }

  #look(): void {
    if (!this.#vigil || this.#direct) return;
    if (this.#vigil.look(performance.now()) === "ping") return this.#say({ t: "ping", nudge: false });
    this.#vigil.heard(performance.now());
    this.#seek(true);
  }

  // ---- speaking

  #say(said: Said): void {
    try {
      this.#channel?.postMessage({ ...said, from: this.#id });
    } catch {
      // A channel that was closed under the page: the vigil finds that nobody answers.
    }
  }

  #heard(message: Message): void {
    if (message.t === "outbox") return this.shared.changed(message.change);
    if (message.t === "signedOut") return this.shared.signedOut();
    if (message.t === "hello" || message.t === "ping" || message.t === "ask") {
      if (this.#direct) this.#asked(message.from, message);
      return;
    }
    if (!this.#direct) this.#told(message.from, message);
  }

  /** As the one who leads. */
  #asked(tab: string, message: ToLeader): void {
    if (message.t === "hello") return this.#introduce();
    if (message.t === "ping") {
      if (message.nudge) this.#direct?.nudge();
      return this.#say({ t: "pong" });
    }
    const board = this.#board;
    if (!board) return;
    this.#watch(tab);
    const { id } = message;
    let answered = false;
    const answer = (frame: ServerFrameBody) => {
      if (!answered) this.#say({ t: "answer", to: tab, id, frame });
      answered = true;
    };
    board.request(tab, message.frame, answer).then(answer, (error: unknown) => this.#say({ t: "trouble", to: tab, id, trouble: troubleOf(error) }));
  }

  /** Hears of a tab's end by the lock that it holds as long as it lives. */
  #watch(tab: string): void {
    const board = this.#board;
    if (this.#watched.has(tab) || !board) return;
    this.#watched.add(tab);
    this.tabs.locks.request(this.#presence(tab), () => {
      this.#watched.delete(tab);
      if (board === this.#board) board.left(tab);
    }).catch(() => undefined);
  }

  /** As one who follows. */
  #told(from: string, message: FromLeader): void {
    if (message.t === "leads") return this.#follow(from, message);
    if (from !== this.#leader) return;
    this.#vigil?.heard(performance.now());
    switch (message.t) {
      case "line":
        this.host.onClock(message.offsetMs);
        // That it is over, each tab learns from the service itself.
        if (message.connection.phase !== "ended" && message.connection.phase !== "refused") this.#set(connectionOf(message.connection));
        return;
      case "frame":
        return this.host.onFrame(message.frame);
      case "batch":
        return this.host.onBatch(message.batch);
      case "answer":
        if (message.to === this.#id) this.#asks.answer(message.id, message.frame);
        return;
      case "trouble":
        if (message.to === this.#id) this.#asks.fail(message.id, errorOf(message.trouble));
        return;
      case "resigns":
        this.#leader = undefined;
        this.#set({ ...IDLE, phase: "connecting" });
        this.#asks.failAll();
        return;
      default:
        return;
    }
  }

  #follow(leader: string, { connection, offsetMs, outbox }: FromLeader & { t: "leads" }): void {
    this.#vigil?.heard(performance.now());
    if (leader === this.#leader) return;
    // Another holds the line: whatever was asked of the one before, nobody will answer.
    this.#set({ ...IDLE, phase: "connecting" });
    this.#asks.failAll();
    this.#leader = leader;
    const known = new Set(outbox.map((post) => post.clientId));
    for (const post of outbox) this.shared.changed({ put: post });
    for (const post of this.shared.all()) if (post.state === "waiting" && !known.has(post.clientId)) this.share({ put: post });
    this.host.onClock(offsetMs);
    this.#set(connectionOf(connection));
  }

  #set(connection: Connection): void {
    this.connection = connection;
    this.host.onConnection(connection);
  }
}

/** What is told to one socket and meant for all its tabs. Answers to this tab's own positions are not. */
function concernsAll(frame: ServerFrameBody): boolean {
  if (frame.case === "subscribed") return frame.value.verdict === Verdict.RESET;
  return frame.case !== "refusal" && frame.case !== "welcome";
}
