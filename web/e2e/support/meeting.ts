// Two people in one consultation, one of them by a line that can be cut, and all that they said.
import { type Browser, expect } from "@playwright/test";
import type { Cable } from "./cable";
import { readComments, signInProgram } from "./log";
import { DESK, PHONE, Person, makeUnique } from "./page";
import { type Gateway, type Service, waitUntil } from "./service";
import { type Testimony, observe, shiftClock } from "./witness";

const DAY_MS = 86_400_000;
/** For what comes over a line that was away: it waits its turn to come back. */
const PATIENCE = { timeout: 60_000 };

export class Meeting {
  readonly unsent: string[] = [];
  readonly #written: string[] = [];
  readonly #said: string[] = [];
  readonly #conversation: string;
  #unheard: string | undefined;
  #torn: string | undefined;

  private constructor(
    readonly writer: Person,
    readonly other: Person,
    readonly line: Cable,
    private readonly service: Service,
  ) {
    this.#conversation = writer.conversation;
  }

  static async begin(browser: Browser, service: Service): Promise<Meeting> {
    const [near, far] = [await service.cable(), await service.cable()];
    const other = await Person.comes(browser, "staff12", { ...DESK, at: far.url, before: (context) => shiftClock(context, -DAY_MS) });
    await other.enters();
    const writer = await Person.comes(browser, "member11", {
      ...PHONE,
      at: near.url,
      before: async (context) => {
        await shiftClock(context, DAY_MS);
        await observe(context);
      },
    });
    await writer.enters();
    return new Meeting(writer, other, near.cable, service);
  }

  async writes(text: string): Promise<void> {
    await this.writer.composer.fill(makeUnique(text));
    await this.sends();
  }

  /** A comment that is posted as the line goes: whether it arrived is not known, and it stands on its writer's page once. */
  async isTorn(text: string, cut: () => void): Promise<void> {
    const torn = makeUnique(text);
    await this.writer.composer.fill(torn);
    await this.writer.page.getByRole("button", { name: "发送" }).click();
    cut();
    this.#written.push(torn);
    this.#torn = torn;
    await expect(this.writer.log.locator("article.comment, article.outgoing").filter({ hasText: torn })).toHaveCount(1);
  }

  /** What stands in the composer. */
  async sends(): Promise<void> {
    const text = await this.writer.composer.inputValue();
    await this.writer.page.getByRole("button", { name: "发送" }).click();
    await expect(this.writer.composer).toHaveValue("");
    this.unsent.push(text);
    this.#written.push(text);
  }

  async otherSays(text: string): Promise<void> {
    const said = makeUnique(text);
    await this.other.says(said);
    this.#said.push(said);
    this.#unheard = said;
  }

  async bothSay(text: string): Promise<void> {
    for (const round of [1, 2]) {
      await this.writes(`${text}：我的第 ${round} 条`);
      await this.otherSays(`${text}：对方的第 ${round} 条`);
    }
    await this.allIsSent();
  }

  /** Each unsent comment stands on the writer's page, once, and is said to be on its way or waiting. */
  async isKept(): Promise<void> {
    for (const text of this.unsent) {
      const row = this.writer.page.locator("article.outgoing").filter({ hasText: text });
      await expect(row).toHaveCount(1);
      await expect(row).toContainText(/等待发送|发送中/);
    }
  }

  async saysItIsAway(): Promise<void> {
    await expect(this.writer.page.getByRole("status").filter({ hasText: /重新连接|已断开/ })).toBeAttached();
    await expect(this.writer.page.getByText(/已断开|重新连接/).first()).toBeVisible();
    await expect(this.writer.page.getByText("未连接时也可以写")).toBeVisible();
  }

  /** All that was written stands on both screens, and nothing is on its way. */
  async allIsSent(): Promise<void> {
    await expect(this.writer.page.getByRole("status").filter({ hasText: "已连接" })).toBeAttached(PATIENCE);
    await expect(this.writer.page.locator("article.outgoing")).toHaveCount(0, PATIENCE);
    await expect(this.writer.page.getByText(/已断开|重新连接/)).toHaveCount(0);
    // The service has all of it, and its newest is the newest on both screens; those before it may stand beyond their edge.
    const wanted = [...this.unsent, this.#unheard, this.#torn].filter((text) => text !== undefined);
    let log: Awaited<ReturnType<Meeting["log"]>> = [];
    await waitUntil("all that was said in the log", async () => {
      log = await this.log();
      return wanted.every((text) => log.some((one) => one.text === text));
    }, PATIENCE.timeout);
    for (const one of [this.writer, this.other]) await expect(one.log.locator(`#c${log.at(-1)?.seq}`)).toHaveCount(1, PATIENCE);
    this.unsent.length = 0;
    this.#unheard = this.#torn = undefined;
  }

  /** The time beside a comment is the service's, whatever the device's clock says. */
  async timesAreRight(): Promise<void> {
    const log = await this.log();
    for (const { log: list } of [this.writer, this.other]) {
      const row = list.locator("article.comment").last();
      const seq = Number(((await row.getAttribute("id")) ?? "").slice(1));
      const entry = log.find((one) => one.seq === seq);
      const time = new Date(entry?.timeMs ?? 0).toLocaleTimeString("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hour12: false });
      await expect(row.locator("time")).toHaveText(time);
      expect(Math.abs((entry?.timeMs ?? 0) - Date.now())).toBeLessThan(60_000);
      // A date beside a time would mean that the page takes today for another day.
      await expect(list.getByText(/\d+月\d+日/)).toHaveCount(0);
    }
  }

  async gatewayOfWriter(): Promise<Gateway> {
    if (this.service.gateways.length === 1) return this.service.gateways[0] as Gateway;
    // The front proxy chose one: it is told by whose sockets are more when the writer comes back.
    const count = async () => Promise.all(this.service.gateways.map(sockets));
    const before = await count();
    this.line.set("cut");
    const all = (counts: number[]) => counts.reduce((sum, one) => sum + one, 0);
    let between = before;
    await waitUntil("the end of the writer's socket", async () => all((between = await count())) < all(before), 60_000);
    this.line.set("whole");
    let found: Gateway | undefined;
    await waitUntil("the writer's return", async () => {
      const now = await count();
      found = this.service.gateways.find((_, index) => (now[index] ?? 0) > (between[index] ?? 0));
      return found !== undefined;
    }, 60_000);
    await this.allIsSent();
    if (!found) throw new Error("the writer is on no gateway");
    return found;
  }

  /** What the page said was so: no comment stood as said before the service had it, and while the line was away the page
   * did not say that it was connected for longer than it may take to notice. */
  judge({ said, shown }: Testimony, away?: { from: number; to: number; noticeMs: number }): void {
    expect(said.length).toBeGreaterThan(0);
    for (const { at, outgoing } of said) {
      for (const { text, state } of outgoing) {
        expect(state).toMatch(/^(等待发送|发送中|已发出)/);
        // A receipt may come before the event: it is said to be sent then, and must be.
        if (state.startsWith("已发出")) this.#sent.push({ at, text });
      }
    }
    for (const one of shown) this.#shown.push(one);
    if (!away) return;
    for (const [index, { at, line }] of said.entries()) {
      const lasted = (said[index + 1]?.at ?? away.to) - Math.max(at, away.from);
      if (at < away.to && line.includes("已连接") && at + Math.max(lasted, 0) > away.from) {
        expect(lasted, `said ${line} for so long without a line`).toBeLessThan(away.noticeMs);
      }
    }
  }
  readonly #shown: Testimony["shown"] = [];
  readonly #sent: { at: number; text: string }[] = [];

  /** Both pages and the service's own log hold the same comments in the same order, each once, and each that was written. */
  async everythingAgrees(): Promise<void> {
    const log = await this.log();
    const ours = log.map(({ seq, text }) => ({ seq, text }));
    expect(await this.writer.reads()).toEqual(ours);
    expect(await this.other.reads()).toEqual(ours);
    const texts = log.map(({ text }) => text);
    for (const mine of [this.#written, this.#said]) {
      expect(texts.filter((text) => mine.includes(text))).toEqual(mine);
    }
    expect(new Set(texts).size).toBe(texts.length);
    for (const { seq, text, at } of this.#shown) {
      const entry = log.find((one) => one.seq === seq);
      expect(entry?.text).toBe(text);
      expect(at, `${text} stood as said before it was`).toBeGreaterThanOrEqual((entry?.timeMs ?? Infinity) - 20);
    }
    for (const { text, at } of this.#sent) {
      const entry = log.find((one) => one.text === text);
      expect(at, `${text} was called sent before it was`).toBeGreaterThanOrEqual((entry?.timeMs ?? Infinity) - 20);
    }
    expect(this.#shown.length).toBeGreaterThan(0);
  }

  async ends(): Promise<void> {
    await this.writer.leaves();
    await this.other.leaves();
  }

  async log() {
    return readComments(await signInProgram(this.service.url, "member13"), this.#conversation);
  }
}

/** How many sockets a gateway holds. */
async function sockets(gateway: Gateway): Promise<number> {
  const text = await fetch(`http://${gateway.admin}/metrics`).then((answer) => answer.text(), () => "");
  return Number(/^yitang_gateway_sockets(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
}
