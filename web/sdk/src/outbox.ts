// Posts on their way: each is kept until its receipt, and sent again with the same client_id until it is answered.
// Pure: the clock is given, and what to send and to store is asked for.
import type { RefusalCode } from "./errors.js";
import { RefusalError, isForLater } from "./errors.js";
import type { PostContent } from "./kinds/index.js";

/** `waiting` to be sent (again), `sending`, `shown` on every screen, `held` for a moderator, `refused` for good. */
export type PostState = "waiting" | "sending" | "shown" | "held" | "refused";

export interface StoredRefusal {
  code: RefusalCode;
  messageZh: string;
  messageEn: string;
}

/** One post of this person, as it stands; never changed, only replaced. */
export interface Outgoing {
  clientId: string;
  /** Who wrote it: another person on the same device never sends it. */
  person: number;
  conversation: string;
  /** When it was written, by the device's clock, and later than any that was written before it. */
  createdMs: number;
  content: PostContent;
  state: PostState;
  /** Where it stands in the log, once it is there. */
  seq: number;
  /** Why it was refused, or why it waits. */
  refusal?: StoredRefusal;
  /** Not to be sent before (milliseconds, by the clock given). */
  notBeforeMs: number;
  tries: number;
}

const WAIT_MS = 1_000;
const WAIT_MOST_MS = 30_000;

/** All posts of one person that have not been answered to an end. */
export class Outbox {
  /** In the order they were written. */
  readonly #posts = new Map<string, Outgoing>();
  #version = 0;

  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#posts.size;
  }

  get(clientId: string): Outgoing | undefined {
    return this.#posts.get(clientId);
  }

  /** Of one conversation, or all. */
  list(conversation?: string): Outgoing[] {
    const all = [...this.#posts.values()];
    return conversation === undefined ? all : all.filter((post) => post.conversation === conversation);
  }

  /** Whether something here would be lost with the store. */
  get unsent(): number {
    return this.list().filter(isUnsent).length;
  }

  /** What a store had kept, each in its place among those that are here. What is here is newer than what the store says
   * of it. What was on its way then is to be sent again. */
  load(posts: Outgoing[]): void {
    for (const post of posts) {
      if (!this.#posts.has(post.clientId)) this.#posts.set(post.clientId, { ...post, state: isUnsent(post) ? "waiting" : post.state, notBeforeMs: 0 });
    }
    this.#arrange();
    this.#version += 1;
  }

  /** A new post, written after all that are here, whatever the device's clock says. With `notBeforeMs` Infinity it holds its
   * place, and goes when `put` or `retry` says so. */
  add(post: Pick<Outgoing, "clientId" | "person" | "conversation" | "createdMs" | "content">, notBeforeMs = 0): Outgoing {
    let createdMs = post.createdMs;
    for (const other of this.#posts.values()) createdMs = Math.max(createdMs, other.createdMs + 1);
    return this.#set({ ...post, createdMs, state: "waiting", seq: 0, notBeforeMs, tries: 0 });
  }

  /** A post as another tab has it, or as it stands after it was written down. */
  put(post: Outgoing): Outgoing {
    const isNew = !this.#posts.has(post.clientId);
    this.#set(post);
    if (isNew) this.#arrange();
    return post;
  }

  /** What may go out now: the first unanswered post of each conversation, so that what one person says stays in the
   * order it was said. They count as sent. */
  takeSendable(nowMs: number): Outgoing[] {
    // An older one that was found late waits for the answer to what is on the line already.
    const seen = new Set<string>();
    for (const post of this.#posts.values()) if (post.state === "sending") seen.add(post.conversation);
    const out: Outgoing[] = [];
    for (const post of this.#posts.values()) {
      if (!isUnsent(post)) continue;
      if (seen.has(post.conversation)) continue;
      seen.add(post.conversation);
      if (post.state === "waiting" && post.notBeforeMs <= nowMs) out.push(post);
    }
    return out.map((post) => this.#set({ ...post, state: "sending", tries: post.tries + 1 }));
  }

  /** When `take` may give something next, if nothing else happens; undefined: never. */
  nextSendMs(): number | undefined {
    let wakeMs = Infinity;
    for (const post of this.#posts.values()) if (post.state === "waiting") wakeMs = Math.min(wakeMs, post.notBeforeMs);
    return wakeMs === Infinity ? undefined : wakeMs;
  }

  /** It is in the log, or kept for a moderator. */
  applyReceipt(clientId: string, seq: number, held: boolean): Outgoing | undefined {
    const post = this.#posts.get(clientId);
    if (!post) return undefined;
    const { refusal: _, ...rest } = post;
    return this.#set({ ...rest, state: held ? "held" : "shown", seq });
  }

  /** The server said no: for good, or until later. */
  applyRefusal(clientId: string, refusal: RefusalError, nowMs: number): Outgoing | undefined {
    const post = this.#posts.get(clientId);
    if (!post) return undefined;
    const stored: StoredRefusal = { code: refusal.code, messageZh: refusal.messageZh, messageEn: refusal.messageEn };
    if (!isForLater(refusal.code)) return this.#set({ ...post, state: "refused", refusal: stored });
    const backoff = Math.min(WAIT_MS * 2 ** Math.min(post.tries - 1, 5), WAIT_MOST_MS);
    return this.#set({ ...post, state: "waiting", refusal: stored, notBeforeMs: nowMs + Math.max(refusal.retryAfterMs, backoff) });
  }

  /** No answer came: whether it arrived is not known, so it goes again, with the same client_id. */
  returnUnanswered(clientId: string): void {
    const post = this.#posts.get(clientId);
    if (post?.state === "sending") this.#set({ ...post, state: "waiting", notBeforeMs: 0 });
  }

  /** The line broke: nothing that was on its way will be answered on it. */
  returnAllUnanswered(): void {
    for (const post of this.#posts.values()) this.returnUnanswered(post.clientId);
  }

  /** The person asks to send a refused post again, or a waiting one at once. */
  retry(clientId: string): Outgoing | undefined {
    const post = this.#posts.get(clientId);
    if (!post || (post.state !== "refused" && post.state !== "waiting")) return undefined;
    const { refusal: _, ...rest } = post;
    return this.#set({ ...rest, state: "waiting", notBeforeMs: 0 });
  }

  /** Forgets a post: it was seen in the log, or the person threw it away. */
  drop(clientId: string): boolean {
    const dropped = this.#posts.delete(clientId);
    if (dropped) this.#version += 1;
    return dropped;
  }

  /** In the order they were written; of one moment, in the order they came. */
  #arrange(): void {
    const posts = [...this.#posts.values()].sort((a, b) => a.createdMs - b.createdMs);
    this.#posts.clear();
    for (const post of posts) this.#posts.set(post.clientId, post);
  }

  #set(post: Outgoing): Outgoing {
    this.#posts.set(post.clientId, post);
    this.#version += 1;
    return post;
  }
}

/** Whether it has no answer to an end yet. */
export function isUnsent(post: Outgoing): boolean {
  return post.state === "waiting" || post.state === "sending";
}

/** Whether a post must stand in the store: all that have not reached the log, so that what was said of them is said again
 * after a reload. */
export function isKept(post: Outgoing): boolean {
  return post.state !== "shown";
}
