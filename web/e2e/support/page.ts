// What people do on the page, in their words.
import { type Browser, type BrowserContextOptions, type Page, expect } from "@playwright/test";

export const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
export const DESK: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const PASSWORD = "yitang-demo";

export function url(): string {
  const known = process.env["YITANG_URL"] ?? process.env["YITANG_E2E_URL"];
  if (!known) throw new Error("no service was started");
  return known.replace(/\/$/, "");
}

/** Cuts or mends the network between this page and the service. */
export async function network(page: Page, state: "cut" | "dead" | "whole"): Promise<void> {
  const cable = process.env["YITANG_E2E_CABLE"];
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

  static async comes(browser: Browser, login: string, options: BrowserContextOptions = PHONE, path = "/"): Promise<Person> {
    const context = await browser.newContext({ locale: "zh-CN", ...options });
    const person = new Person(await context.newPage());
    await person.page.goto(url() + path);
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

  async leaves(): Promise<void> {
    expect(this.troubles).toEqual([]);
    await this.page.context().close();
  }
}

/** Unlike any other comment of this or an earlier run. */
export function unlike(text: string): string {
  return `${text}（${Math.random().toString(36).slice(2, 8)}）`;
}
