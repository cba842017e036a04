// A finger meets a list that runs on: what it went down on is what happens.
import { type Page, expect, test } from "@playwright/test";
import { Flood } from "../support/crowd";
import { DESK, Person } from "../support/page";
import { WholeService } from "../support/service";

const PRESSES = 4;
/** Comments a second of the flood. */
const PER_S = 300;

/** What the mouse went down on last, as the page saw it. */
interface Down {
  seq: string;
  text: string;
  newest: number;
}
declare global {
  interface Window {
    down: Down | undefined;
  }
}

let service: WholeService;
test.beforeAll(async () => {
  // With the other services of the run it may take longer than a test.
  test.setTimeout(180_000);
  service = await WholeService.start();
});
test.afterAll(() => service?.stop());

test("a press in a flood does what the finger went down on, however long it stays there, and the focus is not lost to another row", async ({ browser }) => {
  test.setTimeout(90_000);
  const { url } = await service.cable();
  const member = await Person.comes(browser, "member31", { ...DESK, at: url });
  const { page } = member;
  await member.enters();
  await page.evaluate(() => {
    addEventListener("pointerdown", (event) => {
      const row = event.target instanceof Element ? event.target.closest('[data-act="more"]')?.closest<HTMLElement>("[data-seq]") : null;
      const seqs = [...document.querySelectorAll<HTMLElement>("article.comment")].map((one) => Number(one.dataset["seq"]));
      window.down = row ? { seq: row.dataset["seq"] ?? "", text: row.querySelector(".text")?.textContent?.trim() ?? "", newest: Math.max(...seqs) } : undefined;
    }, true);
  });
  const flood = new Flood(service.url, member.conversation, PER_S, 20);
  await expect.poll(() => member.log.locator("article.comment").count()).toBeGreaterThan(5);

  for (let press = 0; press < PRESSES; press += 1) {
    const down = await pressMore(page);
    // The finger takes its time: half a second of the flood.
    await expect.poll(() => cameSince(page, down)).toBeGreaterThan(PER_S / 2);
    await page.mouse.up();
    const sheet = page.getByRole("dialog");
    await expect(sheet.getByRole("blockquote")).toContainText(down.text.slice(0, 20));
    // The rows run on behind the sheet, or wait to be gone to where the press has stopped the following.
    await expect.poll(async () => (await newest(page)) > down.newest + 100 || (await jumpToNewest(page).count()) > 0).toBe(true);
    await page.keyboard.press("Escape");
    await expect(sheet).toHaveCount(0);
    await expect.poll(() => page.evaluate(() => document.activeElement?.closest<HTMLElement>("[data-seq]")?.dataset["seq"])).toBe(down.seq);
    await toNewest(page);
  }
  await flood.stop();
  await member.leaves();
});

/** Puts the mouse down until it is on a button of a row: the rows run under it. */
async function pressMore(page: Page): Promise<Down> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const at = await page.evaluate(() => {
      const buttons = [...document.querySelectorAll('article.comment [data-act="more"]')].map((one) => one.getBoundingClientRect());
      const there = buttons.filter(({ top, bottom }) => top > 200 && bottom < innerHeight - 200);
      const one = there[Math.floor(there.length / 2)];
      return one && { x: one.x + one.width / 2, y: one.y + one.height / 2 };
    });
    if (!at) continue;
    await page.mouse.move(at.x, at.y);
    await page.mouse.down();
    const down = await page.evaluate(() => window.down);
    if (down) return down;
    await page.mouse.up();
  }
  throw new Error("no button stood still long enough for a mouse");
}

function newest(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(...[...document.querySelectorAll<HTMLElement>("article.comment")].map((one) => Number(one.dataset["seq"]))));
}

/** Comments that came since: on the screen, or waiting to be gone to. */
async function cameSince(page: Page, down: Down): Promise<number> {
  const [waiting] = await jumpToNewest(page).allTextContents();
  return (await newest(page)) - down.newest + Number(/\d+/.exec(waiting?.replaceAll(",", "") ?? "")?.[0] ?? 0);
}

function jumpToNewest(page: Page) {
  // Behind an open sheet it is hidden from assistive technology, and there all the same.
  return page.getByRole("button", { name: /新发言|回到最新/, includeHidden: true });
}

/** The focus that comes back may have taken the list back to its row. */
async function toNewest(page: Page): Promise<void> {
  const jump = jumpToNewest(page);
  await expect.poll(async () => {
    const count = await jump.count();
    if (count > 0) await jump.dispatchEvent("click");
    return count;
  }).toBe(0);
}
