// Posts from the moment they are written to their receipt: the shell around Outbox, with the store, the line and the
// other tabs. Every tab shows all posts; the one that holds the line sends them.
import { ConnectionLost, RefusalError, endsSession } from "./errors.js";
import { ReceiptState } from "./gen/socket_pb.js";
import type { ClientFrameBody, ServerFrameBody } from "./link.js";
import { type PostContent, encodePost } from "./kinds/index.js";
import { Outbox, type Outgoing, isKept, isUnsent } from "./outbox.js";
import { Signal } from "./signal.js";
import type { SafeStore } from "./store.js";
import { uuidv7 } from "./uuid.js";

/** What tabs tell each other of the outbox. */
export type OutboxChange = { put: Outgoing } | { drop: string };

export interface PostingHost {
  request(frame: ClientFrameBody): Promise<ServerFrameBody>;
  readonly online: boolean;
  /** Whether this tab is the one that sends. */
  readonly sends: boolean;
  /** The line did not answer in time. */
  reportTimeout(): void;
  /** Tells the other tabs. */
  shareChange(change: OutboxChange): void;
  /** How far a conversation has been seen; undefined: nobody looks at it here. */
  findDelivered(conversation: string): number | undefined;
}

/** Looks again soon, but not in a circle. */
const SOONEST_MS = 50;

export class Posting {
  readonly outbox = new Outbox();
  readonly changed = new Signal<Outgoing | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Until all that was posted is written down, and told to the other tabs. */
  #written: Promise<unknown> = Promise.resolve();
  /** What left the outbox while the store was being read: what it says of that is old. One set for each reading. */
  readonly #left = new Set<Set<string>>();

  constructor(
    private readonly store: SafeStore,
    private readonly host: PostingHost,
  ) {}

  /** Takes in what the store has kept. */
  async load(person: number): Promise<void> {
    const left = new Set<string>();
    this.#left.add(left);
    try {
      const kept = await this.store.load(person);
      this.outbox.load(kept.filter(({ clientId }) => !left.has(clientId)));
    } finally {
      this.#left.delete(left);
    }
    this.changed.emit(undefined);
  }

  /** Keeps a post, then sends it until it is answered. It is in the store when this returns. */
  async post(person: number, conversation: string, content: PostContent): Promise<Outgoing> {
    const { clientId } = this.outbox.add({ clientId: uuidv7(), person, conversation, createdMs: Date.now(), content }, Infinity);
    const post = { ...(this.outbox.get(clientId) as Outgoing), notBeforeMs: 0 };
    this.changed.emit(post);
    // A disk may take longer over an earlier one: posts are told to other tabs, and go, in the order they were written.
    this.#written = Promise.all([this.store.put(post), this.#written]).then(() => this.#handleWritten(post));
    await this.#written;
    return this.outbox.get(clientId) ?? post;
  }

  /** Sends a refused post once more, or a waiting one now. */
  async retry(clientId: string): Promise<void> {
    const post = this.outbox.retry(clientId);
    if (!post) return;
    await this.store.put(post);
    this.#announce(post);
    this.flush();
  }

  /** Throws a post away that has not reached the log. */
  async discard(clientId: string): Promise<void> {
    this.#drop(clientId);
    this.host.shareChange({ drop: clientId });
    this.changed.emit(undefined);
    await this.store.remove(clientId);
    this.flush();
  }

  /** Resolves when a post is shown, held or refused; where it is thrown away, with how it stood last. Rejects for a
   * post that is not here. */
  settled(clientId: string): Promise<Outgoing> {
    let last = this.outbox.get(clientId);
    if (!last) return Promise.reject(new RangeError("there is no such post"));
    return new Promise((resolve) => {
      const check = (moved: Outgoing | undefined) => {
        const post = moved?.clientId === clientId ? moved : this.outbox.get(clientId);
        if (post && isUnsent(post)) last = post;
        else {
          stop();
          resolve(post ?? (last as Outgoing));
        }
      };
      const stop = this.changed.on(check);
      check(last);
    });
  }

  /** What has been seen in the log needs no copy here. */
  dropDelivered(conversation: string, seq: number): void {
    if (this.outbox.size === 0) return;
    for (const post of this.outbox.list(conversation)) {
      if (post.state === "shown" && post.seq <= seq && this.#drop(post.clientId)) this.changed.emit(post);
    }
  }

  /** Another tab has told of a change. */
  applyChange(change: OutboxChange): void {
    if ("drop" in change) {
      this.#drop(change.drop);
      this.changed.emit(undefined);
      // This tab's store may hold a copy of its own, for a disk that fails.
      void this.store.remove(change.drop);
    } else {
      let { put } = change;
      if (this.host.sends && isUnsent(put)) {
        const mine = this.outbox.get(put.clientId);
        // What this tab is sending, or has an answer for, it knows best; and nobody else is sending now.
        if (mine && mine.state !== "waiting" && mine.state !== "refused") return;
        if (put.state === "sending") put = { ...put, state: "waiting", notBeforeMs: 0 };
      }
      this.outbox.put(put);
      this.changed.emit(put);
      if (!isKept(put)) void this.store.remove(put.clientId);
      this.#dropIfSeen(put);
    }
    this.flush();
  }

  /** The line broke: nothing that was on its way will be answered on it. */
  handleDisconnect(): void {
    clearTimeout(this.#timer);
    this.outbox.returnAllUnanswered();
    this.changed.emit(undefined);
  }

  /** Sends what may go now. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.host.online || !this.host.sends) return;
    for (const post of this.outbox.takeSendable(Date.now())) {
      this.#announce(post);
      void this.#send(post);
    }
    const wakeMs = this.outbox.nextSendMs();
    if (wakeMs !== undefined) this.#timer = setTimeout(() => this.flush(), Math.max(wakeMs - Date.now(), SOONEST_MS));
  }

  async #send(post: Outgoing): Promise<void> {
    const { clientId, conversation } = post;
    try {
      const answer = await this.host.request({ case: "post", value: { conversation, clientId, content: encodePost(post.content) } });
      if (answer.case !== "receipt") throw new ConnectionLost("the answer to a post is no receipt", true);
      const { position, state } = answer.value;
      const done = this.outbox.applyReceipt(clientId, Number(position?.seq ?? 0n), state === ReceiptState.HELD);
      if (done) this.#announce(done);
      if (done && isKept(done)) await this.store.put(done);
      else await this.store.remove(clientId);
      if (done) this.#dropIfSeen(done);
    } catch (error) {
      if (error instanceof RefusalError && !endsSession(error)) {
        const refused = this.outbox.applyRefusal(clientId, error, Date.now());
        if (refused) await this.store.put(refused);
        if (refused) this.#announce(refused);
      } else {
        this.outbox.returnUnanswered(clientId);
        const post = this.outbox.get(clientId);
        if (post) this.#announce(post);
        // No answer in time on a line that looks alive: it is not.
        if (error instanceof ConnectionLost && error.timedOut) this.host.reportTimeout();
      }
    }
    this.flush();
  }

  async #handleWritten(post: Outgoing): Promise<void> {
    // Thrown away while it was being written down.
    if (!this.outbox.get(post.clientId)) await this.store.remove(post.clientId);
    else this.#announce(this.outbox.put(post));
    this.flush();
  }

  #announce(post: Outgoing): void {
    this.changed.emit(post);
    this.host.shareChange({ put: post });
  }

  /** A shown post leaves when its event has been seen, or where nobody looks. */
  #dropIfSeen(post: Outgoing): void {
    if (post.state !== "shown") return;
    const seq = this.host.findDelivered(post.conversation);
    if (seq === undefined) this.#drop(post.clientId);
    else this.dropDelivered(post.conversation, seq);
  }

  #drop(clientId: string): boolean {
    for (const left of this.#left) left.add(clientId);
    return this.outbox.drop(clientId);
  }
}
