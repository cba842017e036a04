// Whether the tab that holds the line still lives. A tab that is closed or crashes lets go of its lock by itself; one
// that the browser has frozen keeps it and says nothing. Pure: the clock is given.

/** How often a tab asks, milliseconds. */
export const PING_MS = 2_000;
/** A leader that is silent for longer is frozen, ms. */
const PATIENCE_MS = 5_000;
/** The same while a person waits: the page has just come to the front. */
const HURRY_MS = 1_500;

export type Duty = "ping" | "depose";

export class LeaderWatch {
  #heardMs: number;
  #lookedMs: number;
  #hurryUntilMs = Infinity;

  constructor(nowMs: number) {
    this.#heardMs = this.#lookedMs = nowMs;
  }

  /** The leader has said something. */
  handleMessage(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#hurryUntilMs = Infinity;
  }

  /** Somebody looks at this tab now: an answer is wanted soon. */
  hurry(nowMs: number): number {
    this.#lookedMs = nowMs;
    this.#hurryUntilMs = Math.min(this.#hurryUntilMs, nowMs + HURRY_MS);
    return HURRY_MS;
  }

  /** To be asked every PING_MS, and when `hurry` says. */
  check(nowMs: number): Duty {
    // This tab was itself held still: the leader had no chance to be heard.
    if (nowMs - this.#lookedMs > 2 * PING_MS) this.handleMessage(nowMs);
    this.#lookedMs = nowMs;
    const isFrozen = nowMs - this.#heardMs > PATIENCE_MS || nowMs >= this.#hurryUntilMs;
    return isFrozen ? "depose" : "ping";
  }
}
