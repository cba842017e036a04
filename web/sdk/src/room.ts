// A conversation that the page follows: the shell around Follower, with what the socket says of it.
import { toEntry } from "./entry.js";
import { RefusalError, endsSession } from "./errors.js";
import { Follower, type FollowerOptions, type Need, type VerdictName } from "./follower.js";
import { ConversationKind } from "./gen/event_pb.js";
import { type Page, type PostState, type RoomState, type Subscribed, type Top, Verdict } from "./gen/socket_pb.js";
import type { ClientFrameBody, InOrder, LiveBatch, ServerFrameBody } from "./link.js";
import { Signal } from "./signal.js";

const VERDICTS: Record<number, VerdictName> = {
  [Verdict.FRESH]: "fresh",
  [Verdict.RESUMED]: "resumed",
  [Verdict.GAP]: "gap",
  [Verdict.RESET]: "reset",
};
/** Events that a room holds at most, if nobody says otherwise: some 20 MB. */
const KEEP_MOST = 50_000;
const TAIL = 50;
const PAGE = 100;
const REPAIR_PAGE = 200;
/** A top that we are behind is usually followed by its batch: how long to wait for it before asking, ms. */
const BEHIND_MS = 1_000;
const AGAIN_MS = 1_000;
const READ_EVERY_MS = 1_000;

/** What a room needs of the client that holds it. */
export interface RoomHost {
  request(frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody>;
  readonly online: boolean;
  handleDelivered(room: Room): void;
}

/** People here and what they did, as told last. */
export interface Presence {
  people: number;
  /** False while the count may be too low. */
  complete: boolean;
  byOrganisation: { organisation: number; people: number }[];
  peopleSpoke: number;
  comments: number;
}

/** `joining` until the first answer; `live`; `refused` where one may not watch. */
export type RoomPhase = "joining" | "live" | "refused";

export class Room {
  readonly changed = new Signal();
  readonly follower: Follower;
  phase: RoomPhase = "joining";
  refusal: RefusalError | undefined;
  presence: Presence | undefined;
  typing: number[] = [];
  mayPost = false;
  mayModerate = false;
  postRefusal: RefusalError | undefined;
  /** It is its members' own (a group, two people), not of an organisation that invites. */
  hasMembers = false;
  /** Its position went out with the sign-in; an answer is to come by itself. */
  resuming = false;
  /** Events to hold; a quarter more, and the oldest go, to be loaded again by `loadOlder`. A page whose reader stands at
   * the end can do with far fewer than one that reads back; it may be changed at any time. */
  keepMost = KEEP_MOST;
  /** The verdict that came last. */
  verdict: VerdictName | undefined;
  #users = 0;
  #gone = false;
  #repairing = false;
  #older: Promise<void> | undefined;
  readonly #timers = new Map<"subscribe" | "repair", ReturnType<typeof setTimeout>>();
  #readWanted = 0;
  #readTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly id: string,
    private readonly host: RoomHost,
    options: Partial<FollowerOptions> = {},
  ) {
    this.follower = new Follower(options);
  }

  get timeline() {
    return this.follower.timeline;
  }

  /** Counts those who look at it. */
  enter(): void {
    this.#users += 1;
  }
  /** True: nobody looks any more. */
  leave(): boolean {
    this.#users = Math.max(0, this.#users - 1);
    return this.#users === 0;
  }

  /** Asks to follow it, or to go on where we stand. */
  async subscribe(): Promise<void> {
    this.resuming = false;
    const position = this.follower.position;
    const after = position && { conversation: this.id, epoch: position.epoch, seq: BigInt(position.seq) };
    try {
      // The events that follow may come right behind the answer: it is taken at its place.
      await this.host.request({ case: "subscribe", value: { conversation: this.id, tail: TAIL, ...(after ? { after } : {}) } }, (answer) => {
        if (answer.case === "subscribed") this.handleSubscribed(answer.value);
      });
    } catch (error) {
      if (!(error instanceof RefusalError)) return; // The line is gone: the next one resumes.
      if (endsSession(error)) return;
      if (error.retryAfterMs > 0) return this.#schedule("subscribe", error.retryAfterMs, () => void this.subscribe());
      this.phase = "refused";
      this.refusal = error;
      this.changed.emit();
    }
  }

  handleSubscribed(facts: Subscribed): void {
    this.resuming = false;
    this.phase = "live";
    this.refusal = undefined;
    this.mayModerate = facts.mayModerate;
    this.hasMembers = facts.kind === ConversationKind.DIRECT || facts.kind === ConversationKind.GROUP;
    this.#setMayPost(facts.mayPost, facts.postRefusal);
    this.verdict = VERDICTS[facts.verdict] ?? "reset";
    const need = this.follower.applySubscribed({
      verdict: this.verdict,
      epoch: facts.position?.epoch ?? 0,
      seq: Number(facts.position?.seq ?? 0n),
      headSeq: Number(facts.headSeq),
      headMseq: Number(facts.headMseq),
      readMseq: Number(facts.readMseq),
      tail: (facts.tail?.events ?? []).map(toEntry),
      tailCompleteBefore: facts.tail?.completeBefore ?? false,
    });
    this.#finishStep(need);
    if (this.#readWanted > 0) this.markRead(this.#readWanted);
  }

  handleBatch({ epoch, first, count, events }: LiveBatch): void {
    if (this.phase !== "live" || this.resuming || this.#gone) return;
    const need = events ? this.follower.applyBatch(epoch, first, events.map(toEntry)) : this.follower.applyLostBatch(epoch, first + count - 1);
    this.#finishStep(need);
  }

  handleTop(top: Top): void {
    const need = this.follower.applyTop(top.position?.epoch ?? 0, Number(top.position?.seq ?? 0n), Number(top.mseq));
    if (need === "behind") this.#schedule("repair", BEHIND_MS, () => this.#serveNeed(this.follower.findRepair()));
    else this.#finishStep(need);
  }

  handleRoomState(state: RoomState): void {
    this.presence = {
      people: state.peopleHere,
      complete: state.complete,
      byOrganisation: state.byOrganisation.map(({ organisation, people }) => ({ organisation, people })),
      peopleSpoke: state.peopleSpoke,
      comments: Number(state.comments),
    };
    this.changed.emit();
  }

  handlePostState(state: PostState): void {
    this.mayModerate = state.mayModerate;
    this.#setMayPost(state.mayPost, state.refusal);
    this.changed.emit();
  }

  handleTyping(people: number[]): void {
    this.typing = people;
    this.changed.emit();
  }

  handleReadMoved(mseq: number): void {
    if (this.follower.markRead(mseq)) this.changed.emit();
  }

  /** The server ended it: the right to watch was taken away, say. */
  handleUnsubscribed(reason: RefusalError | undefined): void {
    if (reason && reason.retryAfterMs > 0) return this.#schedule("subscribe", reason.retryAfterMs, () => void this.subscribe());
    this.phase = "refused";
    this.refusal = reason;
    this.changed.emit();
  }

  /** Loads what stands before the oldest held. One at a time; done when it is there, or could not be had. */
  loadOlder(): Promise<void> {
    if (this.follower.completeBefore || this.phase !== "live") return Promise.resolve();
    this.#older ??= this.#loadPage({ case: "before", value: BigInt(this.follower.oldest) }, PAGE).finally(() => (this.#older = undefined));
    return this.#older;
  }

  /** "I have read up to here": told to the server at most once a second. */
  markRead(mseq: number): void {
    this.#readWanted = Math.max(this.#readWanted, mseq);
    if (this.follower.markRead(mseq)) this.changed.emit();
    this.#readTimer ??= setTimeout(() => {
      this.#readTimer = undefined;
      void this.#sendRead();
    }, READ_EVERY_MS);
  }

  dispose(): void {
    this.#gone = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    clearTimeout(this.#readTimer);
    this.#readTimer = undefined;
  }

  async #sendRead(): Promise<void> {
    const mseq = this.#readWanted;
    if (mseq === 0 || !this.host.online) return;
    try {
      await this.host.request({ case: "markRead", value: { conversation: this.id, mseq: BigInt(mseq) } });
      if (this.#readWanted === mseq) this.#readWanted = 0;
    } catch {
      // Told again with the next one, or after the next subscription.
    }
  }

  #setMayPost(may: boolean, refusal: Parameters<typeof RefusalError.of>[0] | undefined): void {
    this.mayPost = may;
    this.postRefusal = may || !refusal ? undefined : RefusalError.of(refusal);
  }

  #finishStep(need: Need): void {
    if (this.follower.held > this.keepMost * 1.25) this.follower.trim(this.keepMost);
    this.host.handleDelivered(this);
    this.changed.emit();
    this.#serveNeed(need);
  }

  #serveNeed(need: Need): void {
    if (need.kind === "anew") void this.subscribe();
    else if (need.kind === "older") void this.loadOlder();
    else if (need.kind === "repair") void this.#repair(need.after);
  }

  async #repair(after: number): Promise<void> {
    if (this.#repairing) return;
    this.#repairing = true;
    try {
      await this.#loadPage({ case: "after", value: BigInt(after) }, REPAIR_PAGE);
    } finally {
      this.#repairing = false;
    }
    if (!this.host.online || this.phase !== "live") return;
    const moved = this.follower.delivered > after;
    const next = this.follower.findRepair();
    if (next.kind !== "repair") return;
    // A chat-core that is behind gives less than the head that we know of: ask again, calmly.
    if (moved) void this.#repair(next.after);
    else this.#schedule("repair", AGAIN_MS, () => this.#serveNeed(this.follower.findRepair()));
  }

  async #loadPage(where: { case: "before" | "after"; value: bigint }, limit: number): Promise<void> {
    const epoch = this.follower.epoch;
    let page: Page;
    try {
      const answer = await this.host.request({ case: "page", value: { conversation: this.id, epoch, where, limit } });
      if (answer.case !== "page") return;
      page = answer.value;
    } catch (error) {
      if (error instanceof RefusalError && error.retryAfterMs === 0 && !endsSession(error)) void this.subscribe();
      return;
    }
    if (epoch !== this.follower.epoch) return;
    const head = { seq: Number(page.headSeq), mseq: Number(page.headMseq) };
    this.#finishStep(this.follower.applyPage(page.epoch, page.events.map(toEntry), page.completeBefore, head));
  }

  /** What was put off first is not put off again by what comes after. */
  #schedule(what: "subscribe" | "repair", ms: number, act: () => void): void {
    if (this.#timers.has(what)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(what);
      if (this.host.online) act();
    }, ms);
    this.#timers.set(what, timer);
  }
}
