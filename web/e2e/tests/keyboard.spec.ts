import { type Locator, expect, test } from "@playwright/test";
import { signInProgram } from "../support/log";
import { DESK, Person, direct, makeUnique, url } from "../support/page";
import { Keys } from "../support/keys";

test("with a keyboard alone: signing in, entering, posting, answering, every sheet, and leaving; the focus is always seen", async ({ browser }) => {
  const page = await (await browser.newContext({ ...DESK, baseURL: url() })).newPage();
  const keys = new Keys(page);
  await page.goto("/");
  await expect(page.getByRole("button", { name: "登录" })).toBeVisible();
  await keys.tabTo(page.getByLabel("账号"));
  await page.keyboard.type("member51");
  await keys.tabTo(page.getByLabel("密码", { exact: true }));
  await page.keyboard.type("yitang-demo");
  await page.keyboard.press("Enter");

  await expect(page.getByRole("heading", { name: "我的协商" })).toBeVisible();
  await keys.isSeen();
  await keys.tabTo(page.getByRole("link", { name: /老旧小区/ }).first());
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/c\//);
  await expect(page.getByRole("status").filter({ hasText: "已连接" })).toBeAttached();
  await keys.isSeen();

  const composer = page.getByLabel("写下您的意见");
  const log = page.getByRole("log");
  const comment = (text: string) => log.locator("article.comment").filter({ hasText: text });
  await keys.tabTo(composer);
  const first = makeUnique("只用键盘写的一条");
  await page.keyboard.type(first);
  await keys.press("Enter");
  await expect(comment(first)).toHaveCount(1);
  await expect(composer).toBeFocused();

  // Back into the list, up to a comment, and an answer to it.
  await keys.tabTo(log, true);
  await keys.press("ArrowUp");
  await keys.isIn(comment(first));
  await page.keyboard.press("r");
  await expect(composer).toBeFocused();
  const second = makeUnique("只用键盘回复的一条");
  await page.keyboard.type(second);
  await keys.press("Enter");
  await expect(comment(second)).toContainText(first.slice(0, 6));

  // Every sheet: the focus goes in, stays in, and comes back to where it was.
  const top = page.locator("header").first();
  const openers = [/在场/, "找发言", "我的发言", "键盘操作"].map((name): Locator => top.getByRole("button", { name }));
  for (const opener of await present(openers)) {
    await keys.tabTo(opener, true);
    await page.keyboard.press("Enter");
    await staysIn(keys, page.getByRole("dialog"));
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await expect(opener).toBeFocused();
  }
  await keys.tabTo(log);
  await keys.press("End");
  await keys.isIn(comment(second));
  await keys.press("ArrowUp");
  // The answer quotes it.
  await keys.isIn(comment(first).first());
  const row = page.locator(":focus");
  const at = await row.getAttribute("id");
  await page.keyboard.press("Enter");
  await staysIn(keys, page.getByRole("dialog"));
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(page.locator(`#${at}`)).toBeFocused();

  await keys.tabTo(page.getByRole("link", { name: "返回" }), true);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "我的协商" })).toBeVisible();
  await keys.isSeen();
  await page.context().close();
});

test("the focus stays on its comment while others flood in and the rows around it are taken for others", async ({ browser }) => {
  const reader = await Person.comes(browser, "member52", DESK);
  await reader.enters();
  const speaker = await signInProgram(direct(), "member53");
  const say = async (text: string) => {
    const content = { case: "comment" as const, value: { text, replyTo: 0n } };
    await speaker.services.conversations.sendPost({ conversation: reader.conversation, clientId: crypto.randomUUID(), content });
  };
  const comment = (text: string) => reader.log.locator("article.comment").filter({ hasText: text });
  const [text, newest] = [makeUnique("焦点停在这一条"), makeUnique("不是这一条")];
  for (const one of [text, newest]) await say(one);
  await reader.sees(newest);
  await reader.log.focus();
  await reader.page.keyboard.press("End");
  await expect(comment(newest)).toBeFocused();
  await reader.page.keyboard.press("ArrowUp");
  await expect(comment(text)).toBeFocused();
  const at = await comment(text).getAttribute("id");
  const flood = makeUnique("说的是改造资金怎样筹措");
  for (let index = 0; index < 120; index += 1) await say(`涌来的第 ${index} 条，${flood}。`);
  await reader.page.keyboard.press("Shift");
  // It reads back now, as the hand went up; to the newest and away from it again, the row is still the one with the focus.
  await reader.toNewest.dispatchEvent("click");
  await reader.sees(`涌来的第 119 条，${flood}`);
  await expect(reader.page.locator(`#${at}`)).toBeFocused();
  await reader.page.keyboard.press("ArrowDown");
  await new Keys(reader.page).isSeen();
  await reader.leaves();
});

async function present(locators: Locator[]): Promise<Locator[]> {
  const there: Locator[] = [];
  for (const one of locators) if ((await one.count()) > 0) there.push(one.first());
  expect(there.length).toBeGreaterThanOrEqual(2);
  return there;
}

/** Around by Tab: it never leaves the sheet. */
async function staysIn(keys: Keys, sheet: Locator): Promise<void> {
  await expect(sheet).toBeVisible();
  await keys.isIn(sheet);
  for (let step = 0; step < 12; step += 1) {
    await keys.press("Tab");
    await keys.isIn(sheet);
  }
}
