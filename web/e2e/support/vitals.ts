// How a page feels, by the browser's own clocks: long tasks, frames, the delay of keys, memory.
import { type BrowserContext, type CDPSession, type Page } from "@playwright/test";

interface Vitals {
  /** Long tasks: start and length, milliseconds since the page began. */
  tasks: [number, number][];
  /** Each key that came down: when, and how long it waited before the page heard of it. */
  keys: [number, number][];
  /** Event Timing of keys: input delay and time to the next paint. Those under 16 ms are not told by the browser. */
  events: { delay: number; duration: number }[];
  /** Frames of the page since it began; counted while `counting`. */
  frames: number;
  counting: boolean;
}

declare global {
  interface Window {
    vitals: Vitals;
  }
}

/** Must be called before the page is opened. */
export async function watchVitals(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const vitals: Vitals = { tasks: [], keys: [], events: [], frames: 0, counting: false };
    window.vitals = vitals;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) vitals.tasks.push([entry.startTime, entry.duration]);
    }).observe({ type: "longtask", buffered: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as PerformanceEventTiming[]) {
        if (/^key|input/.test(entry.name)) vitals.events.push({ delay: entry.processingStart - entry.startTime, duration: entry.duration });
      }
    }).observe({ type: "event", durationThreshold: 16, buffered: true } as PerformanceObserverInit);
    addEventListener("keydown", (event) => vitals.keys.push([event.timeStamp, performance.now() - event.timeStamp]), true);
    let asked = 0;
    const frame = () => {
      vitals.frames += 1;
      asked = vitals.counting ? requestAnimationFrame(frame) : 0;
    };
    Object.defineProperty(vitals, "count", {
      value: (on: boolean) => {
        vitals.counting = on;
        cancelAnimationFrame(asked);
        asked = on ? requestAnimationFrame(frame) : 0;
      },
    });
  });
}

export interface Frames {
  frames: number;
  ms: number;
  per_s: number;
}

/** Counts the page's frames while something goes on. */
export async function measureFrames(page: Page, act: () => Promise<void>): Promise<Frames> {
  const count = (on: boolean) =>
    page.evaluate((value) => {
      (window.vitals as Vitals & { count: (on: boolean) => void }).count(value);
      return [performance.now(), window.vitals.frames] as const;
    }, on);
  const [began, before] = await count(true);
  await act();
  const [ended, after] = await count(false);
  const ms = ended - began;
  return { frames: after - before, ms, per_s: ((after - before) / ms) * 1_000 };
}

export async function readVitals(page: Page): Promise<Vitals & { now: number }> {
  return page.evaluate(() => ({ ...window.vitals, now: performance.now() }));
}

/** No stroke is longer than a screen gives room for, px. */
const STROKE_PX = 240;
const STEP_MS = 16;
const HOLD_MS = 80;

/** A finger that drags the page: `px` downwards the content (negative: back towards its beginning), in strokes around `at`,
 * each held at its end so that it throws nothing. Touches one by one: Chromium's own synthesized gesture moves no list here. */
export async function drag(cdp: CDPSession, at: { x: number; y: number }, px: number, speed = 900): Promise<void> {
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", y?: number) =>
    cdp.send("Input.dispatchTouchEvent", { type, touchPoints: y === undefined ? [] : [{ x: at.x, y }] });
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const way = px < 0 ? 1 : -1;
  for (let left = Math.abs(px); left > 0; left -= STROKE_PX) {
    const length = Math.min(left, STROKE_PX);
    const from = at.y - (way * length) / 2;
    await touch("touchStart", from);
    for (let gone = 0; gone < length; ) {
      gone = Math.min(length, gone + (speed * STEP_MS) / 1_000);
      await touch("touchMove", from + way * gone);
      await pause(STEP_MS);
    }
    await pause(HOLD_MS);
    await touch("touchEnd");
  }
}

/** Bytes of living JavaScript objects, after collecting what is dead. */
export async function measureHeap(cdp: CDPSession): Promise<number> {
  await cdp.send("HeapProfiler.collectGarbage");
  const { metrics } = await cdp.send("Performance.getMetrics");
  return metrics.find((metric) => metric.name === "JSHeapUsedSize")?.value ?? 0;
}

/** The value below which this share of them lies; 0 of none. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Growth a second by least squares. */
export function slope(points: [number, number][]): number {
  const n = points.length;
  const [sx, sy] = [0, 1].map((axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0)) as [number, number];
  const sxy = points.reduce((sum, [x, y]) => sum + x * y, 0);
  const sxx = points.reduce((sum, [x]) => sum + x * x, 0);
  const below = n * sxx - sx * sx;
  return below === 0 ? 0 : (n * sxy - sx * sy) / below;
}
