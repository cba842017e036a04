// What people do on the page, in their words.
import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, expect } from "@playwright/test";

export const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
export const DESK: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const PASSWORD = "yitang-demo";

/** How a person comes: with which browser, to which address, and what is done to it before its first page. */
export interface Coming extends BrowserContextOptions {
  at?: string;
  before?: (context: BrowserContext) => Promise<void>;
}

/** The service that a worker's tests have to themselves. */
export interface Home {
  /** Where its page is, for browsers. */
  url: string;
  /** Where it listens, for programs: past the cable. */
  direct: string;
  /** Where the cable is told what to do; none to a service that ran before. */
  cable?: string;
}

function home(): Home {
  const homes = JSON.parse(process.env["E2E_HOMES"] ?? "[]") as Home[];
  // A worker that is made anew after a failure has the place of the one before.
  const mine = homes[Number(process.env["TEST_PARALLEL_INDEX"] ?? 0)];
  if (!mine) throw new Error("no service was started");
  return mine;
}

export const url = (): string => home().url;
export const direct = (): string => home().direct;

/** Cuts or mends the network between this page and the service. */
export async function setNetwork(page: Page, state: "cut" | "dead" | "whole"): Promise<void> {
  const { cable } = home();
  if (cable) await fetch(`${cable}/${state}`);
  else await page.context().setOffline(state !== "whole");
}

export class Person {
  readonly troubles: string[] = [];
  private constructor(readonly page: Page) {
    page.on("pageerror", (error) => this.troubles.push(error.message));
    page.on("console", (message) => {
      // What the page's policy forbids, it says here.
      if (message.type() === "error" && /Content.Security.Policy/i.test(message.text())) this.troubles.push(message.text());
    });
  }

  static async comes(browser: Browser, login: string, options: Coming = PHONE, path = "/"): Promise<Person> {
    const { at = url(), before, ...rest } = options;
    const context = await browser.newContext({ locale: "zh-CN", ...rest });
    await before?.(context);
    const person = new Person(await context.newPage());
    await person.page.goto(at + path);
    await person.page.getByLabel("账号").fill(login);
    await person.page.getByLabel("密码", { exact: true }).fill(PASSWORD);
    await person.page.getByRole("button", { name: "登录" }).click();
    await person.page.waitForURL((now) => now.pathname !== "/sign-in");
    return person;
  }

  /** Opens the consultation that is open now. */
  async enters(): Promise<void> {
    await this.page.getByRole("link", { name: /老旧小区/ }).first().click();
    await this.isLive();
  }

  async isLive(): Promise<void> {
    await this.page.waitForURL(/\/c\//);
    await expect(this.page.getByText("进行中")).toBeVisible();
    await expect(this.page.getByRole("status").filter({ hasText: "已连接" })).toBeAttached();
  }

  get composer() {
    return this.page.getByLabel("写下您的意见");
  }
  get log() {
    return this.page.getByRole("log");
  }

  async says(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.page.getByRole("button", { name: "发送" }).click();
    await expect(this.composer).toHaveValue("");
  }

  /** It stands in the log, once, as everybody sees it. */
  async sees(text: string): Promise<void> {
    await expect(this.log.locator("article.comment").filter({ hasText: text })).toHaveCount(1);
  }

  /** Scrolls back, away from the newest, and waits until the list rests. */
  async readsBack(px: number): Promise<void> {
    await expect(async () => {
      await this.log.hover();
      await this.page.mouse.wheel(0, -px);
      await expect(this.toNewest).toBeVisible({ timeout: 3_000 });
    }).toPass();
    await this.log.evaluate(rests);
  }

  /** The first comment that stands wholly in the list, and where. */
  readsAt(): Promise<{ id: string; at: number } | undefined> {
    return this.log.evaluate((list) => {
      const { top, bottom } = list.getBoundingClientRect();
      const rows = [...list.querySelectorAll("article.comment")].map((row) => ({ id: row.id, box: row.getBoundingClientRect() }));
      const seen = rows.filter(({ box }) => box.top >= top && box.top < bottom).sort((a, b) => a.box.top - b.box.top);
      return seen[0] && { id: seen[0].id, at: seen[0].box.top - top };
    });
  }

  /** Leads to the newest, while one reads back. */
  get toNewest() {
    return this.page.getByRole("button", { name: /新发言|回到最新/ });
  }

  /** The id of the consultation that is open on the page. */
  get conversation(): string {
    return new URL(this.page.url()).pathname.split("/")[2] ?? "";
  }

  /** All that can be read in the list, from its beginning to its end, by scrolling through it: each comment's place in the
   * log and its text, in the order in which they stand. */
  reads(): Promise<{ seq: number; text: string }[]> {
    return this.log.evaluate(readThrough);
  }

  async leaves(): Promise<void> {
    expect(this.troubles).toEqual([]);
    await this.page.context().close();
  }
}

/** Unlike any other comment of this or an earlier run. */
export function makeUnique(text: string): string {
  return `${text}（${Math.random().toString(36).slice(2, 8)}）`;
}

/** Runs in the page: done when what is read has stood still for a while; the wheel may still be rolling. */
async function rests(list: Element): Promise<void> {
  const place = () => {
    const { top } = list.getBoundingClientRect();
    const boxes = [...list.querySelectorAll("article.comment")].map((row) => ({ id: row.id, at: row.getBoundingClientRect().top - top }));
    const first = boxes.filter(({ at }) => at >= 0).sort((one, other) => one.at - other.at)[0];
    return first && `${first.id} ${Math.round(first.at)}`;
  };
  for (let still = 0, before = place(); still < 10; ) {
    await new Promise(requestAnimationFrame);
    const now = place();
    still = now !== undefined && now === before ? still + 1 : 0;
    before = now;
  }
}

/** Runs in the page. */
async function readThrough(list: Element): Promise<{ seq: number; text: string }[]> {
  const read: { seq: number; text: string }[] = [];
  const known = new Set<number>();
  const drawn = () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())));
  const took = Date.now();
  // Older ones come while one is at the top.
  const isLoading = () => list.parentElement?.querySelector(".loading") !== null;
  // After a flood they are drawn half a second after they came.
  for (let quiet = 0, before = -1; quiet < 40; quiet = list.scrollHeight === before && !isLoading() ? quiet + 1 : 0) {
    before = list.scrollHeight;
    list.scrollTop = 0;
    await drawn();
    if (Date.now() - took > 120_000) throw new Error("the list has no beginning");
  }
  for (;;) {
    await drawn();
    const here = [...list.querySelectorAll<HTMLElement>("article.comment")].sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
    for (const one of here) {
      const seq = Number(one.id.slice(1));
      if (known.has(seq)) continue;
      known.add(seq);
      read.push({ seq, text: one.querySelector(".text")?.textContent ?? "" });
    }
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 2) return read;
    list.scrollTop += list.clientHeight * 0.7;
  }
}
