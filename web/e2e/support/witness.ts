// Writes down what a page says while it says it: each change of what a person would read of the connection and of their
// comments, with the time. Afterwards it is held against what was so.
import { type BrowserContext, type Page } from "@playwright/test";

/** What the page said from `at` (milliseconds since 1970, by the machine's clock) on. */
export interface Said {
  at: number;
  /** Words about the line, as a screen reader hears them. */
  line: string;
  /** My comments that are not in the log, and the state beside each. */
  outgoing: { text: string; state: string }[];
}

/** When a comment first stood in the list as said, by its place in the log. */
export interface Testimony {
  said: Said[];
  shown: { at: number; seq: number; text: string }[];
}

declare global {
  interface Window {
    readTestimony: Testimony;
  }
}

/** Must be called before the context's first page is opened. It survives reloads: each load begins anew. */
export async function observe(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    // The page's Date may be wrong on purpose; this clock is the machine's.
    const now = () => performance.timeOrigin + performance.now();
    const testimony: Testimony = { said: [], shown: [] };
    window.readTestimony = testimony;
    const known = new Set<string>();
    let last = "";
    const look = () => {
      if (!document.body) return;
      const line = [...document.querySelectorAll("[role=status]")].map((one) => one.textContent?.trim()).join(" ");
      const outgoing = [...document.querySelectorAll("article.outgoing")].map((one) => ({
        text: one.querySelector(".text")?.textContent ?? "",
        state: one.querySelector(".state")?.textContent?.trim() ?? "",
      }));
      const what = JSON.stringify([line, outgoing]);
      if (what !== last) {
        testimony.said.push({ at: now(), line, outgoing });
        last = what;
      }
      for (const one of document.querySelectorAll("article.comment")) {
        if (known.has(one.id)) continue;
        known.add(one.id);
        testimony.shown.push({ at: now(), seq: Number(one.id.slice(1)), text: one.querySelector(".text")?.textContent ?? "" });
      }
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class", "id"] });
  });
}

export function testimony(page: Page): Promise<Testimony> {
  return page.evaluate(() => window.readTestimony);
}

/** Sets the page's clock wrong by an offset, which may be put right while it runs. Timers run on. */
export async function shiftClock(context: BrowserContext, ms: number): Promise<void> {
  await context.addInitScript((shift) => {
    const Right = Date;
    const w = window as unknown as { clockShift: number };
    w.clockShift = shift;
    class Wrong extends Right {
      constructor(...args: unknown[]) {
        if (args.length === 0) super(Right.now() + w.clockShift);
        else super(...(args as [number]));
      }
      static override now(): number {
        return Right.now() + w.clockShift;
      }
    }
    window.Date = Wrong as DateConstructor;
  }, ms);
}

export async function setClock(page: Page, ms: number): Promise<void> {
  await page.evaluate((shift) => {
    (window as unknown as { clockShift: number }).clockShift = shift;
  }, ms);
}
