// What has changed of this person's outside the rooms that it follows, for all subjects alike. Thousands hear of a thing at
// once: what makes them ask the service is told to each at a moment of its own.
import type { Change, Changes as WireChanges } from "./gen/socket_pb.js";
import { Signal } from "./signal.js";

/** What has changed. A subject takes what is its own: `changed` by `subject`. */
export interface Changes {
  /** As they are now: put each in place by its id, where its version is not lower than the one held, and take out what is
   * `gone`. One that has no `brief` and is not gone: ask its subject for it now. */
  changed: Change[];
  /** More has changed than was told: list again, now. */
  listAgain: boolean;
}

export class ChangeTeller {
  readonly told = new Signal<Changes>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: Changes = { changed: [], listAgain: false };

  constructor(private readonly random: () => number) {}

  /** What must be asked for waits for this client's own part of the spread that the service asks for; the rest is told now. */
  tell({ changed, listAgain, spreadMs }: WireChanges): void {
    const isAsked = ({ brief, gone, urgent }: Change) => brief.case === undefined && !gone && !urgent;
    const now = changed.filter((change) => !isAsked(change));
    if (now.length > 0) this.told.emit({ changed: now, listAgain: false });
    const asked = changed.filter(isAsked);
    if (!listAgain && asked.length === 0) return;
    this.#waiting = { changed: [...this.#waiting.changed, ...asked], listAgain: this.#waiting.listAgain || listAgain };
    this.#timer ??= setTimeout(() => {
      const waiting = this.#waiting;
      this.stop();
      this.told.emit(waiting);
    }, Math.round(this.random() * spreadMs));
  }

  /** What waits is not told any more: after a break one lists again. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = { changed: [], listAgain: false };
  }
}
