// How long a member with a slow phone on a slow line waits for the first comment, by the browser's own clock.
// `npm run first-comment` leaves target/bench/web-first-comment.json.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, expect, test } from "@playwright/test";
import { signInProgram } from "../support/log";
import { PHONE, Person } from "../support/page";
import { BENCH, WholeService } from "../support/service";
import { quantile } from "../support/vitals";
import { GZIP_ONLY, measureWeight } from "../support/weight";

const RUNS = 5;
// Lighthouse's "slow 4G" as it gives it to the browser: 1.6 Mbit/s down and 750 kbit/s up, each 90 %, 150 ms × 3.75.
const SLOW_4G = { offline: false, latency: 562.5, downloadThroughput: (1.6 * 1024 * 1024 * 0.9) / 8, uploadThroughput: (750 * 1024 * 0.9) / 8 };
const SLOWER = 4;

declare global {
  interface Window {
    firstComment: number;
  }
}

let service: WholeService;
test.beforeAll(async () => {
  service = await WholeService.start();
});
test.afterAll(() => service?.stop());

test("the first comment on a slow phone", async ({ browser }) => {
  test.setTimeout(170_000);
  const { url } = await service.cable();
  const member = await Person.comes(browser, "member31", { ...PHONE, at: url });
  await member.enters();
  const room = new URL(member.page.url()).pathname;
  const speaker = await signInProgram(service.url, "member32");
  for (let index = 0; index < 60; index += 1) {
    const comment = { text: `第 ${index} 条：加装电梯要先听一楼住户的意见，补偿办法应当公开透明，方案要贴在楼道里。`, replyTo: 0n };
    await speaker.services.conversations.sendPost({ conversation: member.conversation, clientId: crypto.randomUUID(), content: { case: "comment", value: comment } });
  }
  const kept = await member.page.context().storageState();
  const runs: { paint: number; comment: number }[] = [];
  for (let run = 0; run < RUNS; run += 1) runs.push(await visit(browser, url + room, kept));
  const middle = (name: keyof (typeof runs)[number]) => quantile(runs.map((one) => one[name]), 0.5);
  const figures = {
    line: SLOW_4G,
    cpu_slower: SLOWER,
    runs: RUNS,
    first_paint_ms: middle("paint"),
    first_comment_ms: middle("comment"),
    first_comment_each_ms: runs.map((one) => one.comment),
    gzip: await weigh(browser, url + room, kept, true),
    brotli: await weigh(browser, url + room, kept, false),
  };
  mkdirSync(BENCH, { recursive: true });
  writeFileSync(join(BENCH, "web-first-comment.json"), `${JSON.stringify(figures, undefined, 2)}\n`);
  console.log(JSON.stringify(figures));
  await member.leaves();
});

type Kept = Awaited<ReturnType<import("@playwright/test").BrowserContext["storageState"]>>;

/** A first visit with nothing in the cache, signed in. */
async function visit(browser: Browser, address: string, storageState: Kept): Promise<{ paint: number; comment: number }> {
  const context = await browser.newContext({ ...PHONE, locale: "zh-CN", storageState });
  await context.addInitScript(() => {
    window.firstComment = 0;
    const watcher = new MutationObserver(() => {
      if (!document.querySelector("article.comment .text")) return;
      watcher.disconnect();
      // It is on the screen with the frame after this one.
      requestAnimationFrame(() => requestAnimationFrame(() => (window.firstComment = performance.now())));
    });
    watcher.observe(document, { subtree: true, childList: true });
  });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", SLOW_4G);
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  await page.goto(address, { waitUntil: "commit", timeout: 60_000 });
  await expect.poll(() => page.evaluate(() => window.firstComment), { timeout: 60_000 }).toBeGreaterThan(0);
  const found = await page.evaluate(() => ({ paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, comment: window.firstComment }));
  await context.close();
  return found;
}

async function weigh(browser: Browser, address: string, storageState: Kept, gzip: boolean) {
  const context = await browser.newContext({ ...PHONE, locale: "zh-CN", storageState, ...(gzip ? GZIP_ONLY : {}) });
  const page = await context.newPage();
  await page.goto(address);
  await expect(page.locator("article.comment").first()).toBeVisible();
  const weight = await measureWeight(page);
  await context.close();
  return weight;
}
