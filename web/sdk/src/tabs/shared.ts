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
import { PendingRequests } from "./pending_requests.js";
import { type FromLeader, type Message, type Content, type ToLeader, fromPlainConnection, fromPlainError, toPlainConnection, toPlainError } from "./messages.js";
import type { TabChannel, Tabs } from "./platform.js";
import { SharedRequests } from "./shared_requests.js";
import { PING_MS, LeaderWatch } from "./leader_watch.js";

/** What the tabs share beside the line. */
export interface SharedHost {
  /** Another tab has changed its outbox. */
  applyChange(change: OutboxChange): void;
  listOutbox(): Outgoing[];
  /** This tab has become the one that sends. */
  handleLead(): void;
  handleSignedOut(): void;
}

export class SharedLine implements Line {
  connection: Connection = IDLE;
  readonly #pending: PendingRequests;
  #started = false;
  #id = "";
  #channel: TabChannel | undefined;
  /** Ends this tab's wish to lead. */
  #seeking: AbortController | undefined;
  /** Lets go of what this tab holds. */
  #release: (() => void) | undefined;
  #present: (() => void) | undefined;
  #direct: Line | undefined;
  #requests: SharedRequests | undefined;
  /** Tabs whose end will be heard of. */
  readonly #watched = new Set<string>();
  #leader: string | undefined;
  #leaderWatch: LeaderWatch | undefined;
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
    this.#pending = new PendingRequests(answerMs);
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
    if (this.connection.phase !== "idle") this.#setConnection(IDLE);
  }

  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    if (this.#requests) return this.#requests.request(this.#id, frame, inOrder);
    if (!this.#leader) return Promise.reject(new ConnectionLost("not connected"));
    return this.#pending.send((id) => this.#send({ t: "ask", id, frame }), inOrder);
  }

  wake(): void {
    if (this.#direct) return this.#direct.wake();
    if (!this.#leaderWatch) return;
    this.#send({ t: "ping", nudge: true });
    const waitMs = this.#leaderWatch.hurry(performance.now());
    setTimeout(() => this.#checkLeader(), waitMs + 10);
  }

  reportTimeout(): void {
    if (this.#direct) this.#direct.reportTimeout();
    else this.wake();
  }

  shareChange(change: OutboxChange): void {
    this.#send({ t: "outbox", change });
  }

  sendSignedOut(): void {
    this.#send({ t: "signedOut" });
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
      if (channel === this.#channel) this.#handleMessage(data as Message);
    };
    this.#hold(this.#presenceLock(this.#id), (release) => (this.#present = release)).catch(() => undefined);
    this.#setConnection({ ...IDLE, phase: "connecting" });
    this.#requestLead(false);
    this.#send({ t: "hello" });
    this.#leaderWatch = new LeaderWatch(performance.now());
    this.#beat = setInterval(() => this.#checkLeader(), PING_MS);
  }

  async #withdraw(standing: Connection): Promise<void> {
    const channel = this.#channel;
    if (!channel) return;
    if (this.leads) this.#send({ t: "resigns" });
    clearInterval(this.#beat);
    this.#leaderWatch = undefined;
    this.#channel = undefined;
    channel.onmessage = null;
    channel.close();
    this.#leader = undefined;
    this.#seeking?.abort();
    this.#present?.();
    const losing = this.#stopLeading();
    if (this.connection.phase !== standing.phase) this.#setConnection(standing);
    await losing;
  }

  #presenceLock(tab: string): string {
    return `${this.#name} ${tab}`;
  }

  /** Holds a lock from when it is granted until `release` is called. Rejects when it is taken away, or never given. */
  #hold(name: string, granted: (release: () => void) => void, options: LockOptions = {}): Promise<unknown> {
    return this.tabs.locks.request(name, options, () => new Promise<void>((release) => granted(release)));
  }

  // ---- leading

  #requestLead(steal: boolean): void {
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
        this.#startLeading();
      },
      options,
    ).then(
      () => undefined,
      (error: unknown) => {
        if (seeking.signal.aborted || this.#seeking !== seeking) return;
        // Another tab took it, this one having been still for too long; or locks are forbidden here: then a line of its own.
        if (held) void this.#handleDeposed();
        else if ((error as { name?: string } | null)?.name !== "AbortError") this.#startLeading();
      },
    );
  }

  #startLeading(): void {
    this.#leader = undefined;
    this.#pending.rejectAll();
    const direct = this.makeDirect({
      listPositions: () => {
        // A new socket follows nothing yet: each tab subscribes again when it hears that the line stands.
        this.#requests?.clear();
        const standings = this.host.listPositions();
        for (const { conversation } of standings) this.#requests?.addFollower(this.#id, conversation);
        return standings;
      },
      handleConnection: (connection) => {
        if (direct !== this.#direct) return;
        this.#setConnection(connection);
        this.#send({ t: "line", connection: toPlainConnection(connection), offsetMs: this.#offsetMs });
        // Each tab learns from the service itself that it is over.
        if (connection.phase === "ended" || connection.phase === "refused") void this.#retire();
      },
      handleFrame: (frame) => {
        this.host.handleFrame(frame);
        if (concernsAll(frame)) this.#send({ t: "frame", frame });
      },
      handleBatch: (batch) => {
        this.host.handleBatch(batch);
        if (this.#requests?.hasOtherFollowers(this.#id, batch.conversation)) this.#send({ t: "batch", batch });
      },
      handleClock: (offsetMs) => {
        this.#offsetMs = offsetMs;
        this.host.handleClock(offsetMs);
      },
    });
    this.#direct = direct;
    this.#requests = new SharedRequests(
      (frame, inOrder) => direct.request(frame, inOrder),
      (frame) => {
        this.host.handleFrame(frame);
        this.#send({ t: "frame", frame });
      },
    );
    this.#introduce();
    this.shared.handleLead();
    direct.start();
  }

  #introduce(): void {
    this.#send({ t: "leads", connection: toPlainConnection(this.connection), offsetMs: this.#offsetMs, outbox: this.shared.listOutbox() });
  }

  /** Ends this tab's leading, if it leads. */
  async #stopLeading(): Promise<void> {
    const direct = this.#direct;
    this.#direct = undefined;
    this.#requests = undefined;
    this.#watched.clear();
    this.#release?.();
    this.#release = undefined;
    this.#pending.rejectAll();
    await direct?.stop();
  }

  async #handleDeposed(): Promise<void> {
    const losing = this.#stopLeading();
    this.#setConnection({ ...IDLE, phase: "connecting" });
    await losing;
    if (!this.#channel) return;
    this.#requestLead(false);
    this.#send({ t: "hello" });
  }

  /** The service will not have this tab: it stops here, and the next one tries. */
  async #retire(): Promise<void> {
    this.#started = false;
    await this.#withdraw(this.connection);
  }

  #checkLeader(): void {
    if (!this.#leaderWatch || this.#direct) return;
    if (this.#leaderWatch.check(performance.now()) === "ping") return this.#send({ t: "ping", nudge: false });
    this.#leaderWatch.handleMessage(performance.now());
    this.#requestLead(true);
  }

  // ---- speaking

  #send(said: Content): void {
    try {
      this.#channel?.postMessage({ ...said, from: this.#id });
    } catch {
      // A channel that was closed under the page: the watch of the leader finds that nobody answers.
    }
  }

  #handleMessage(message: Message): void {
    if (message.t === "outbox") return this.shared.applyChange(message.change);
    if (message.t === "signedOut") return this.shared.handleSignedOut();
    if (message.t === "hello" || message.t === "ping" || message.t === "ask") {
      if (this.#direct) this.#handleToLeader(message.from, message);
      return;
    }
    if (!this.#direct) this.#handleFromLeader(message.from, message);
  }

  /** As the one who leads. */
  #handleToLeader(tab: string, message: ToLeader): void {
    if (message.t === "hello") return this.#introduce();
    if (message.t === "ping") {
      if (message.nudge) this.#direct?.wake();
      return this.#send({ t: "pong" });
    }
    const requests = this.#requests;
    if (!requests) return;
    this.#watch(tab);
    const { id } = message;
    let answered = false;
    const answer = (frame: ServerFrameBody) => {
      if (!answered) this.#send({ t: "answer", to: tab, id, frame });
      answered = true;
    };
    requests.request(tab, message.frame, answer).then(answer, (error: unknown) => this.#send({ t: "trouble", to: tab, id, trouble: toPlainError(error) }));
  }

  /** Hears of a tab's end by the lock that it holds as long as it lives. */
  #watch(tab: string): void {
    const requests = this.#requests;
    if (this.#watched.has(tab) || !requests) return;
    this.#watched.add(tab);
    this.tabs.locks.request(this.#presenceLock(tab), () => {
      this.#watched.delete(tab);
      if (requests === this.#requests) requests.removeTab(tab);
    }).catch(() => undefined);
  }

  /** As one who follows. */
  #handleFromLeader(from: string, message: FromLeader): void {
    if (message.t === "leads") return this.#follow(from, message);
    if (from !== this.#leader) return;
    this.#leaderWatch?.handleMessage(performance.now());
    switch (message.t) {
      case "line":
        this.host.handleClock(message.offsetMs);
        // That it is over, each tab learns from the service itself.
        if (message.connection.phase !== "ended" && message.connection.phase !== "refused") this.#setConnection(fromPlainConnection(message.connection));
        return;
      case "frame":
        return this.host.handleFrame(message.frame);
      case "batch":
        return this.host.handleBatch(message.batch);
      case "answer":
        if (message.to === this.#id) this.#pending.resolve(message.id, message.frame);
        return;
      case "trouble":
        if (message.to === this.#id) this.#pending.reject(message.id, fromPlainError(message.trouble));
        return;
      case "resigns":
        this.#leader = undefined;
        this.#setConnection({ ...IDLE, phase: "connecting" });
        this.#pending.rejectAll();
        return;
      default:
        return;
    }
  }

  #follow(leader: string, { connection, offsetMs, outbox }: FromLeader & { t: "leads" }): void {
    this.#leaderWatch?.handleMessage(performance.now());
    if (leader === this.#leader) return;
    // Another holds the line: whatever was asked of the one before, nobody will answer.
    this.#setConnection({ ...IDLE, phase: "connecting" });
    this.#pending.rejectAll();
    this.#leader = leader;
    const known = new Set(outbox.map((post) => post.clientId));
    for (const post of outbox) this.shared.applyChange({ put: post });
    for (const post of this.shared.listOutbox()) if (post.state === "waiting" && !known.has(post.clientId)) this.shareChange({ put: post });
    this.host.handleClock(offsetMs);
    this.#setConnection(fromPlainConnection(connection));
  }

  #setConnection(connection: Connection): void {
    this.connection = connection;
    this.host.handleConnection(connection);
  }
}

/** What is told to one socket and meant for all its tabs. Answers to this tab's own positions are not. */
function concernsAll(frame: ServerFrameBody): boolean {
  if (frame.case === "subscribed") return frame.value.verdict === Verdict.RESET;
  return frame.case !== "refusal" && frame.case !== "welcome";
}
