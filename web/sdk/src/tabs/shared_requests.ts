// One socket for many tabs: who follows what, and which frame goes on to the service. The service lets a socket
// subscribe again to what it follows, with a tail or from a position, so each tab's subscription is simply passed on;
// what another tab's brings twice, a Follower drops. Pure but for the line it is given.
import { RefusalError } from "../errors.js";
import type { ClientFrameBody, InOrder, ServerFrameBody } from "../link.js";

export type Ask = (frame: ClientFrameBody, inOrder?: InOrder) => Promise<ServerFrameBody>;

export class SharedRequests {
  readonly #followers = new Map<string, Set<string>>();

  constructor(
    private readonly ask: Ask,
    /** This person has read further in one tab. */
    private readonly readMoved: (frame: ServerFrameBody) => void,
  ) {}

  /** A tab asks the service something. */
  async request(tab: string, frame: ClientFrameBody, inOrder?: InOrder): Promise<ServerFrameBody> {
    if (frame.case === "subscribe") return this.#subscribe(tab, frame, inOrder);
    if (frame.case === "unsubscribe") {
      const conversation = frame.value.conversation ?? "";
      if (!this.#drop(tab, conversation)) return { case: "unsubscribed", value: { $typeName: "yitang.v1.Unsubscribed", conversation } };
    }
    const answer = await this.ask(frame, inOrder);
    if (answer.case === "readMoved") this.readMoved(answer);
    return answer;
  }

  /** The socket has been made anew, and follows nothing. */
  clear(): void {
    this.#followers.clear();
  }

  /** A tab follows a conversation on this socket. */
  addFollower(tab: string, conversation: string): void {
    const tabs = this.#followers.get(conversation);
    if (tabs) tabs.add(tab);
    else this.#followers.set(conversation, new Set([tab]));
  }

  /** Whether a tab other than this one follows a conversation. */
  hasOtherFollowers(tab: string, conversation: string): boolean {
    const tabs = this.#followers.get(conversation);
    return tabs !== undefined && tabs.size > (tabs.has(tab) ? 1 : 0);
  }

  /** A tab is gone: what nobody follows any more is let go. */
  removeTab(tab: string): void {
    for (const conversation of [...this.#followers.keys()]) {
      if (this.#followers.get(conversation)?.has(tab) && this.#drop(tab, conversation)) {
        this.ask({ case: "unsubscribe", value: { conversation } }).catch(() => undefined);
      }
    }
  }

  async #subscribe(tab: string, frame: ClientFrameBody & { case: "subscribe" }, inOrder?: InOrder): Promise<ServerFrameBody> {
    const conversation = frame.value.conversation ?? "";
    this.addFollower(tab, conversation);
    try {
      return await this.ask(frame, inOrder);
    } catch (error) {
      if (error instanceof RefusalError) this.#drop(tab, conversation);
      throw error;
    }
  }

  /** True: nobody follows it any more. */
  #drop(tab: string, conversation: string): boolean {
    const tabs = this.#followers.get(conversation);
    tabs?.delete(tab);
    if (tabs && tabs.size > 0) return false;
    this.#followers.delete(conversation);
    return true;
  }
}
