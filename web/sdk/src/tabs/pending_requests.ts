// Questions to the tab that holds the line, until each has its answer.
import { ConnectionLost } from "../errors.js";
import type { InOrder, ServerFrameBody } from "../link.js";

interface Waiting {
  inOrder: InOrder | undefined;
  resolve: (frame: ServerFrameBody) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class PendingRequests {
  readonly #waiting = new Map<number, Waiting>();
  #id = 0;

  constructor(private readonly answerMs: number) {}

  /** `send` is given the question's number. Rejects where no answer comes in time. */
  send(send: (id: number) => void, inOrder?: InOrder): Promise<ServerFrameBody> {
    const id = (this.#id += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.reject(id, new ConnectionLost("no answer came in time", true)), this.answerMs);
      this.#waiting.set(id, { inOrder, resolve, reject, timer });
      send(id);
    });
  }

  resolve(id: number, frame: ServerFrameBody): void {
    const waiting = this.#take(id);
    waiting?.inOrder?.(frame);
    waiting?.resolve(frame);
  }

  reject(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  /** Nobody is there any more to answer. */
  rejectAll(): void {
    for (const id of [...this.#waiting.keys()]) this.reject(id, new ConnectionLost());
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }
}
