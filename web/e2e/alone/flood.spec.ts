// A flood of comments into an open room, on a phone four times slower than this machine. In the suite a short one, held to
// what must be so on any machine, however busy: nothing lost, reading back keeps its place, memory bounded, all found again.
// How fast it is, is measured on a machine that does nothing else: the whole minute by `npm run flood`, which leaves
// target/bench/web-flood.json.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CDPSession, type Page, expect, test } from "@playwright/test";
import { Flood, measureCpu } from "../support/crowd";
import { readComments, signInProgram } from "../support/log";
import { PHONE, Person, makeUnique } from "../support/page";
import { BENCH, WholeService } from "../support/service";
import { drag, measureFrames, measureHeap, quantile, slope, readVitals, watchVitals } from "../support/vitals";

const SECONDS = Number(process.env["FLOOD_SECONDS"] ?? 12);
const WHOLE = SECONDS >= 60;
const PER_S = 500;
const SLOWER = 4;
const MOST_TASK_MS = 200;
const MOST_DELAY_MS = 100;
const LEAST_FRAMES = 0.8;
/** Twice what a page that follows a flood was measured to weigh, and the rows that a screen and its margins hold. */
const MOST_HEAP_BYTES = 16_000_000;
const MOST_ROWS = 120;
/** A page that keeps no more the longer it lasts: what a minute may add to it. */
const MOST_GROWTH = 0.1;

let service: WholeService;
test.beforeAll(async () => {
  // With the other services of the run it may take longer than a test.
  test.setTimeout(180_000);
  service = await WholeService.start();
});
test.afterAll(() => service?.stop());

const CLAIM = WHOLE ? "no long task, smooth scrolling, keys at once, memory flat" : "reading back keeps its place, memory bounded";
test(`a flood of 500 comments a second: ${CLAIM}, and all of it found afterwards`, async ({ browser }) => {
  test.setTimeout((SECONDS * 4 + 240) * 1_000);
  const { url } = await service.cable();
  const member = await Person.comes(browser, "member31", { ...PHONE, at: url, before: watchVitals });
  const { page } = member;
  await member.enters();
  const conversation = member.conversation;
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  const chromium = await browser.newBrowserCDPSession();

  const empty = WHOLE ? await emptyPage(page, member) : 0;
  const started = { cpu: await cpuOfAll(chromium), service: measureCpu(service.pids), at: Date.now() };
  const flood = new Flood(service.url, conversation, PER_S, SECONDS);
  await expect.poll(() => readVitals(page).then(() => member.log.locator("article.comment").count()), { timeout: 30_000 }).toBeGreaterThan(3);

  let generator = 0;
  const rounds: Round[] = [];
  const marks: [number, number][] = [];
  const heap: [number, number][] = [];
  const recordHeap = async () => {
    // Collecting at our wish stops the page: that time is ours.
    const from = (await readVitals(page)).now;
    const bytes = await measureHeap(cdp);
    const to = (await readVitals(page)).now;
    marks.push([from, to]);
    heap.push([(Date.now() - started.at) / 1_000, bytes]);
  };
  const loaded = (await readVitals(page)).now;
  if (!WHOLE) {
    // In full flood, the newest on the screen moves on by itself.
    const began = await newestOf(member);
    await expect.poll(() => newestOf(member)).toBeGreaterThan(began + PER_S / 2);
    await readsBack(member);
    await expect.poll(() => flood.ended, { timeout: 60_000 }).toBe(true);
    await recordHeap();
  }
  while (WHOLE && !flood.ended && Date.now() - started.at < (SECONDS - 2) * 1_000) {
    rounds.push(await round(page, member, cdp));
    generator = flood.cpuS;
    await recordHeap();
  }
  const rows = await member.log.locator("article.comment").count();
  const lasted = (Date.now() - started.at) / 1_000;
  const used = { cpu: (await cpuOfAll(chromium)) - started.cpu, service: measureCpu(service.pids) - started.service, generator };
  const report = await flood.done();
  const vitals = await readVitals(page);
  const tasks = vitals.tasks.filter(([at, ms]) => at >= loaded && !marks.some(([from, to]) => at < to && at + ms > from));
  const delays = vitals.keys.map(([, delay]) => delay);

  // Afterwards: everything that was said, by scrolling back.
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  await page.setViewportSize({ width: 390, height: WHOLE ? 6_000 : 3_000 });
  const readAt = Date.now();
  const read = await member.reads();
  const readS = (Date.now() - readAt) / 1_000;
  const log = (await readComments(await signInProgram(service.url, "member32"), conversation)).map(({ seq, text }) => ({ seq, text }));

  const settled = heap.filter(([at]) => at >= lasted / 3);
  const growthPerS = slope(settled);
  const scroll = rounds.flatMap((one) => one.scroll);
  const fps = scroll.reduce((sum, one) => sum + one.frames, 0) / (scroll.reduce((sum, one) => sum + one.ms, 0) / 1_000);
  const figures = {
    seconds: SECONDS,
    posts_per_s: PER_S,
    cpu_slower: SLOWER,
    acknowledged: report.acknowledged,
    acknowledged_per_s: report.acknowledged_per_s,
    rounds: rounds.length,
    rounds_that_read_back: rounds.filter((one) => one.left).length,
    long_tasks: { over_50_ms: tasks.length, over_200_ms: tasks.filter(([, ms]) => ms > MOST_TASK_MS).length, longest_ms: Math.max(0, ...tasks.map(([, ms]) => ms)) },
    scrolling: { frames_per_s: fps, empty_page_frames_per_s: empty, ratio: fps / empty, each: scroll.map((one) => one.per_s) },
    following: { frames_per_s: rounds.map((one) => one.following) },
    keys: {
      count: delays.length,
      delay_p50_ms: quantile(delays, 0.5),
      delay_p99_ms: quantile(delays, 0.99),
      delay_most_ms: Math.max(0, ...delays),
      event_timing_over_16_ms: vitals.events.length,
      event_timing_delay_p99_ms: quantile(vitals.events.map((one) => one.delay), 0.99),
      to_next_paint_p99_ms: quantile(vitals.events.map((one) => one.duration), 0.99),
    },
    heap: { samples: heap, growth_bytes_per_s: growthPerS, first_settled_bytes: settled[0]?.[1] ?? 0, last_bytes: heap.at(-1)?.[1] ?? 0 },
    cpu_s: { over: lasted, browser: used.cpu, service: used.service, generator: used.generator },
    scrolled_back: { comments: read.length, in_the_log: log.length, seconds: readS },
  };
  if (WHOLE) {
    mkdirSync(BENCH, { recursive: true });
    writeFileSync(join(BENCH, "web-flood.json"), `${JSON.stringify(figures, undefined, 2)}\n`);
    console.log(JSON.stringify({ ...figures, heap: { ...figures.heap, samples: heap.length } }));
  }

  expect(report.lost + report.duplicated + report.out_of_order).toBe(0);
  expect(report.acknowledged).toBe(PER_S * SECONDS);
  expect(read.length).toBe(log.length);
  expect(read).toEqual(log);
  expect(figures.heap.last_bytes, "heap").toBeLessThan(MOST_HEAP_BYTES);
  expect(rows, "rows in the document").toBeLessThan(MOST_ROWS);
  await member.leaves();
  if (!WHOLE) return;
  expect.soft(rounds.map((one) => one.left), "reading back in the flood").toEqual(rounds.map(() => true));
  expect.soft(figures.long_tasks.over_200_ms, "tasks over 200 ms").toBe(0);
  expect.soft(figures.scrolling.ratio, "frames while scrolling, against an empty page").toBeGreaterThanOrEqual(LEAST_FRAMES);
  expect.soft(delays.length).toBeGreaterThan(rounds.length * 10);
  expect.soft(figures.keys.delay_p99_ms, "delay of keys").toBeLessThanOrEqual(MOST_DELAY_MS);
  expect.soft(figures.keys.event_timing_delay_p99_ms, "delay of keys by Event Timing").toBeLessThanOrEqual(MOST_DELAY_MS);
  // From the first third on: before, what is kept fills up to its bound.
  const first = settled[0]?.[1] ?? 1;
  expect.soft((figures.heap.last_bytes - first) / first, "growth of the heap").toBeLessThanOrEqual(MOST_GROWTH);
});

/** Away from the end in the midst of it, and to the newest again: what is read stays where it is while more comes. */
async function readsBack(member: Person): Promise<void> {
  const { toNewest } = member;
  await member.readsBack(1_500);
  const before = await member.readsAt();
  const unread = async () => Number(/\d+/.exec(((await toNewest.textContent()) ?? "").replaceAll(",", ""))?.[0] ?? 0);
  const had = await unread();
  await expect.poll(unread).toBeGreaterThan(had + 200);
  const after = await member.readsAt();
  expect(after?.id).toBe(before?.id);
  expect(Math.abs((after?.at ?? 0) - (before?.at ?? Infinity))).toBeLessThan(3);
  await toNewest.dispatchEvent("click");
  await expect(toNewest).toHaveCount(0);
}

/** The seq of the newest comment on the screen. */
function newestOf(member: Person): Promise<number> {
  return member.log.evaluate((list) => Math.max(0, ...[...list.querySelectorAll<HTMLElement>("[data-seq]")].map((row) => Number(row.dataset["seq"]))));
}

interface Round {
  following: number;
  scroll: { frames: number; ms: number; per_s: number }[];
  /** The finger could leave the end of the list. */
  left: boolean;
}

/** What a reader does while it floods: follows, writes, reads back, and returns to the newest. */
async function round(page: Page, member: Person, cdp: CDPSession): Promise<Round> {
  const from = await newestOf(member);
  // A second and a half of the flood.
  const following = await measureFrames(page, () => expect.poll(() => newestOf(member), { intervals: [250] }).toBeGreaterThan(from + PER_S * 1.5));
  await member.composer.focus();
  const text = makeUnique("Words typed in the flood");
  await page.keyboard.type(text.replace(/[^ -~]/g, ""), { delay: 60 });
  const box = await member.log.boundingBox();
  const at = { x: (box?.x ?? 0) + 100, y: (box?.y ?? 0) + (box?.height ?? 0) / 2 };
  const scroll = [await measureFrames(page, () => drag(cdp, at, -2_400)), await measureFrames(page, () => drag(cdp, at, 1_600))];
  await member.composer.fill("");
  // Who was taken back to the end against their will has no button that leads there.
  const left = await member.toNewest.click({ timeout: 5_000 }).then(() => true, () => false);
  return { following: following.per_s, scroll, left };
}

/** Frames a second of a long page with nothing on it but lines, dragged in the same way by the same browser. */
async function emptyPage(page: Page, member: Person): Promise<number> {
  const empty = await page.context().newPage();
  await empty.setContent(`<meta name="viewport" content="width=device-width"><div style="height:60000px;background:repeating-linear-gradient(#fff 0 40px,#eee 40px 80px)"></div>`);
  await empty.evaluate(() => undefined);
  const cdp = await page.context().newCDPSession(empty);
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  const at = { x: 100, y: 400 };
  const frames = [await measureFrames(empty, () => drag(cdp, at, 2_400)), await measureFrames(empty, () => drag(cdp, at, -1_600))];
  await empty.close();
  await page.bringToFront();
  await expect(member.composer).toBeVisible();
  return frames.reduce((sum, one) => sum + one.frames, 0) / (frames.reduce((sum, one) => sum + one.ms, 0) / 1_000);
}

/** Seconds of CPU of all of the browser's processes. */
async function cpuOfAll(chromium: CDPSession): Promise<number> {
  const { processInfo } = await chromium.send("SystemInfo.getProcessInfo");
  return processInfo.reduce((sum, one) => sum + one.cpuTime, 0);
}
