// How long to wait before coming back. Pure: randomness is given.

/** As the server says in Welcome and Retry, milliseconds. */
export interface RetryRule {
  minMs: number;
  jitterMs: number;
  maxMs: number;
}

/** Before any server has said otherwise. */
export const RETRY: RetryRule = { minMs: 500, jitterMs: 1_500, maxMs: 30_000 };

/** Waits min + a random part of jitter; both double each time, up to max. */
export class Backoff {
  #tries = 0;
  constructor(
    private rule: RetryRule = RETRY,
    private readonly random: () => number = Math.random,
  ) {}

  /** The least wait that the server asks for. */
  get minMs(): number {
    return Math.min(this.rule.minMs, this.rule.maxMs);
  }

  /** The server's newest word on it. */
  setRule(rule: RetryRule): void {
    if (rule.maxMs > 0) this.rule = { ...rule, maxMs: Math.max(rule.maxMs, rule.minMs) };
  }

  /** Milliseconds until the next try. */
  next(): number {
    const factor = 2 ** Math.min(this.#tries, 16);
    this.#tries += 1;
    const wait = (this.rule.minMs + this.random() * this.rule.jitterMs) * factor;
    return Math.round(Math.min(wait, this.rule.maxMs));
  }

  /** A connection has held. */
  reset(): void {
    this.#tries = 0;
  }
}
