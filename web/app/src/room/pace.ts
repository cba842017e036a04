// When the list is drawn again: at the next frame while it is quiet, a few times a second in a flood. Pure.

const CALM_PER_S = 12;
const FLOOD_PER_S = 80;
const BUSY_MS = 120;
const FLOOD_MS = 320;
/** Nobody sees what is added below while one reads back. */
const UNSEEN_MS = 500;
const FORGETS_MS = 1_000;

export class Pace {
  #rate = 0;
  #atMs = 0;

  /** So many events came since the last call. */
  count(events: number, nowMs: number): void {
    const passed = Math.max(nowMs - this.#atMs, 1);
    this.#atMs = nowMs;
    const kept = Math.exp(-passed / FORGETS_MS);
    this.#rate = this.#rate * kept + (events * 1_000 * (1 - kept)) / passed;
  }

  /** Events a second, of late. */
  get rate(): number {
    return this.#rate;
  }

  /** The least time between two drawings; 0: every frame. */
  waitMs(readsBack: boolean): number {
    if (this.#rate < CALM_PER_S) return 0;
    if (readsBack) return UNSEEN_MS;
    return this.#rate < FLOOD_PER_S ? BUSY_MS : FLOOD_MS;
  }
}
