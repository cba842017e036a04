// One conversation as a client follows it: the answers to a subscription, live batches, pages and the heartbeat's tops
// go in; what is missing comes out as a need. Pure.
import type { Entry } from "./entry.js";
import { Inbox } from "./inbox.js";
import { Timeline } from "./timeline.js";
import { findRoomRules } from "./kinds/index.js";
import type { RoomRules } from "./kinds/rules.js";

/** What must be asked of the server now. */
export type Need =
  | { kind: "nothing" }
  /** Events after `after`, to fill a hole. */
  | { kind: "repair"; after: number }
  /** The newest events below `before`. */
  | { kind: "older"; before: number }
  /** Everything held is of another log: start anew. */
  | { kind: "anew" };

const NOTHING: Need = { kind: "nothing" };

export type VerdictName = "fresh" | "resumed" | "gap" | "reset";

export interface SubscribedFacts {
  verdict: VerdictName;
  epoch: number;
  seq: number;
  headSeq: number;
  headMseq: number;
  readMseq: number;
  tail: Entry[];
  tailCompleteBefore: boolean;
}

export interface FollowerOptions {
  /** Events that may wait behind a hole. */
  waitingMost: number;
  /** A gap of more events than this is not filled: the newest are loaded, and the rest when one scrolls back. */
  gapMost: number;
}

export class Follower {
  readonly timeline = new Timeline();
  readonly #options: FollowerOptions;
  #inbox: Inbox<Entry>;
  #epoch = 0;
  #oldest = 1;
  #completeBefore = false;
  #headSeq = 0;
  #headMseq = 0;
  #readMseq = 0;
  #rules: (RoomRules & { seq: number }) | undefined;
  /** Holes that were found and filled, for the curious. */
  repairs = 0;

  constructor(options: Partial<FollowerOptions> = {}) {
    this.#options = { waitingMost: 5_000, gapMost: 1_000, ...options };
    this.#inbox = new Inbox(0, this.#options.waitingMost);
  }

  /** Where this client stands; undefined before the first answer. */
  get position(): { epoch: number; seq: number } | undefined {
    return this.#epoch === 0 ? undefined : { epoch: this.#epoch, seq: this.#inbox.delivered };
  }
  get epoch(): number {
    return this.#epoch;
  }
  get delivered(): number {
    return this.#inbox.delivered;
  }
  get headSeq(): number {
    return this.#headSeq;
  }
  get headMseq(): number {
    return this.#headMseq;
  }
  get readMseq(): number {
    return this.#readMseq;
  }
  /** Derived, never stored. */
  get unread(): number {
    return Math.max(0, this.#headMseq - this.#readMseq);
  }
  /** Events held without a gap up to `delivered`. */
  get held(): number {
    return this.#epoch === 0 ? 0 : this.delivered - this.#oldest + 1;
  }
  /** The lowest seq held without a gap up to `delivered`. */
  get oldest(): number {
    return this.#oldest;
  }
  /** Nothing stands before `oldest`. */
  get completeBefore(): boolean {
    return this.#completeBefore || this.#oldest <= 1;
  }
  get behind(): boolean {
    return this.#inbox.delivered < this.#headSeq;
  }
  /** As far as the log itself tells. */
  get rules(): RoomRules | undefined {
    return this.#rules;
  }

  /** The server's verdict on a subscription or resume. */
  applySubscribed(facts: SubscribedFacts): Need {
    const ours = this.#epoch !== 0 && facts.epoch === this.#epoch;
    if (facts.verdict === "fresh" || facts.verdict === "reset" || !ours) this.#restart(facts);
    this.#headSeq = Math.max(facts.headSeq, this.#inbox.delivered);
    this.#headMseq = Math.max(facts.headMseq, this.#headMseq);
    this.#readMseq = Math.max(facts.readMseq, this.#readMseq);
    if (facts.verdict !== "gap" || facts.seq <= this.#inbox.delivered) {
      if (facts.tail.length === 0 && facts.verdict !== "resumed" && facts.seq > 0) return this.#needOlder();
      return NOTHING;
    }
    if (facts.seq - this.#inbox.delivered <= this.#options.gapMost) return { kind: "repair", after: this.#inbox.delivered };
    this.#restart({ ...facts, tail: [], tailCompleteBefore: false });
    this.#headSeq = facts.headSeq;
    this.#headMseq = facts.headMseq;
    return this.#needOlder();
  }

  /** A live batch. */
  applyBatch(epoch: number, first: number, entries: Entry[]): Need {
    if (this.#epoch === 0) return NOTHING;
    if (epoch !== this.#epoch) return { kind: "anew" };
    return this.#acceptRun(first, entries);
  }

  /** A live batch came, up to `last`, and could not be read. */
  applyLostBatch(epoch: number, last: number): Need {
    if (this.#epoch === 0) return NOTHING;
    if (epoch !== this.#epoch) return { kind: "anew" };
    this.#headSeq = Math.max(this.#headSeq, last);
    return this.findRepair();
  }

  /** A page that was asked for because of a need. */
  applyPage(epoch: number, entries: Entry[], completeBefore: boolean, head: { seq: number; mseq: number }): Need {
    if (this.#epoch === 0) return NOTHING;
    if (epoch !== this.#epoch) return { kind: "anew" };
    this.#headSeq = Math.max(this.#headSeq, head.seq);
    this.#headMseq = Math.max(this.#headMseq, head.mseq);
    const first = entries[0]?.seq;
    if (first === undefined) {
      if (completeBefore) this.#completeBefore = true;
      return NOTHING;
    }
    const last = first + entries.length - 1;
    if (first < this.#oldest && last >= this.#oldest - 1) {
      for (const entry of entries) {
        if (entry.seq < this.#oldest) this.#apply(entry);
      }
      this.#oldest = first;
      this.#completeBefore = completeBefore;
    }
    return this.#acceptRun(first, entries);
  }

  /** The newest event, as the heartbeat tells it. True: we are behind it, which may yet come by itself. */
  applyTop(epoch: number, seq: number, mseq: number): Need | "behind" {
    if (this.#epoch === 0) return NOTHING;
    if (epoch !== this.#epoch) return { kind: "anew" };
    this.#headSeq = Math.max(this.#headSeq, seq);
    this.#headMseq = Math.max(this.#headMseq, mseq);
    return seq > this.#inbox.delivered ? "behind" : NOTHING;
  }

  /** What to ask for, if still behind. */
  findRepair(): Need {
    return this.#epoch !== 0 && this.behind ? { kind: "repair", after: this.#inbox.delivered } : NOTHING;
  }

  /** Keeps the newest `most` events and forgets the rest, to be paged again when one scrolls back. True: some went. */
  trim(most: number): boolean {
    const first = this.delivered - most + 1;
    if (first <= this.#oldest) return false;
    this.timeline.drop(this.#oldest, first);
    this.#oldest = first;
    this.#completeBefore = false;
    return true;
  }

  markRead(mseq: number): boolean {
    const read = Math.min(mseq, this.#headMseq);
    if (read <= this.#readMseq) return false;
    this.#readMseq = read;
    return true;
  }

  #needOlder(): Need {
    return this.completeBefore ? NOTHING : { kind: "older", before: this.#oldest };
  }

  #restart(facts: SubscribedFacts): void {
    this.timeline.clear();
    this.#rules = undefined;
    this.#epoch = facts.epoch;
    this.#headMseq = 0;
    const first = facts.tail[0]?.seq;
    const last = facts.tail[facts.tail.length - 1]?.seq;
    this.#inbox = new Inbox(last ?? facts.seq, this.#options.waitingMost);
    this.#oldest = first ?? facts.seq + 1;
    this.#completeBefore = facts.tailCompleteBefore;
    for (const entry of facts.tail) this.#apply(entry);
  }

  #acceptRun(first: number, entries: Entry[]): Need {
    const offer = this.#inbox.offer({ first, items: entries });
    if (offer.kind === "seen") return NOTHING;
    if (offer.kind === "ready") {
      for (const entry of offer.items) this.#apply(entry);
      this.#headSeq = Math.max(this.#headSeq, this.#inbox.delivered);
      // More of a hole may be left than one page filled.
      return this.#inbox.hole ? { kind: "repair", after: this.#inbox.delivered } : NOTHING;
    }
    this.#headSeq = Math.max(this.#headSeq, first + entries.length - 1);
    this.repairs += 1;
    return { kind: "repair", after: this.#inbox.delivered };
  }

  #apply(entry: Entry): void {
    this.timeline.apply(entry);
    this.#headMseq = Math.max(this.#headMseq, entry.mseq);
    const rules = entry.seq > (this.#rules?.seq ?? 0) ? findRoomRules(entry) : undefined;
    if (rules) this.#rules = { ...rules, seq: entry.seq };
  }
}
