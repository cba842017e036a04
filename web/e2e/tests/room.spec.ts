import { expect, test } from "@playwright/test";
import { DESK, PHONE, Person, setNetwork, makeUnique, url } from "../support/page";

test.afterEach(async ({ page }) => setNetwork(page, "whole"));

test("two people converse, and each sees both", async ({ browser }) => {
  const member = await Person.comes(browser, "member11");
  const staff = await Person.comes(browser, "staff12", DESK);
  await member.enters();
  await staff.enters();
  const asked = makeUnique("加装电梯的公示期能否缩短？");
  await member.says(asked);
  await staff.sees(asked);
  await member.sees(asked);
  await staff.page.locator("article.comment").filter({ hasText: asked }).getByRole("button", { name: "回复" }).click();
  const answered = makeUnique("可以，拟缩短到十五天。");
  await staff.says(answered);
  for (const one of [member, staff]) {
    await one.sees(answered);
    await expect(one.log.locator("article.comment").filter({ hasText: answered })).toContainText(asked.slice(0, 8));
  }
  await expect(member.page.getByText(/在场 \d+ 人/)).toBeVisible();
  await member.leaves();
  await staff.leaves();
});

test("a link to a comment opens at it, with the focus on it, also after signing in", async ({ browser }) => {
  const writer = await Person.comes(browser, "member14");
  await writer.enters();
  const said = makeUnique("这一条有自己的链接");
  await writer.says(said);
  await writer.sees(said);
  const comment = (person: Person) => person.log.locator("article.comment").filter({ hasText: said });
  const link = `/c/${writer.conversation}#${await comment(writer).getAttribute("id")}`;
  const other = await Person.comes(browser, "member15", PHONE, link);
  await expect(comment(other)).toBeFocused();
  await expect(comment(other)).toBeInViewport();
  await other.page.reload();
  await expect(comment(other)).toBeFocused();
  await writer.leaves();
  await other.leaves();
});

test("a link straight into a consultation survives signing in", async ({ browser }) => {
  const first = await Person.comes(browser, "member13");
  await first.enters();
  const path = new URL(first.page.url()).pathname;
  const second = await Person.comes(browser, "member14", DESK, path);
  await second.isLive();
  expect(second.page.url()).toBe(url() + path);
  await first.leaves();
  await second.leaves();
});

test("comments written without a network are kept over a reload and go out once it is back", async ({ browser }) => {
  const writer = await Person.comes(browser, "member15");
  const reader = await Person.comes(browser, "member16", DESK);
  await writer.enters();
  await reader.enters();
  await setNetwork(writer.page, "cut");
  await expect(writer.page.getByText(/重连|重新连接/).first()).toBeVisible();
  const texts = [makeUnique("断线时写的第一条"), makeUnique("断线时写的第二条")];
  for (const text of texts) {
    await writer.says(text);
    await expect(writer.page.locator("article.outgoing").filter({ hasText: text })).toContainText("等待发送");
  }
  const draft = makeUnique("还没写完的一句");
  await writer.composer.fill(draft);
  await setNetwork(writer.page, "whole");
  await writer.page.reload();
  await writer.isLive();
  for (const text of texts) {
    await reader.sees(text);
    await writer.sees(text);
  }
  await expect(writer.page.locator("article.outgoing")).toHaveCount(0);
  await expect(writer.composer).toHaveValue(draft);
  const order = await reader.log.locator("article.comment p.text").allTextContents();
  expect(order.findIndex((text) => text.includes(texts[0] ?? ""))).toBeLessThan(order.findIndex((text) => text.includes(texts[1] ?? "")));
  await writer.leaves();
  await reader.leaves();
});

test("a line that breaks in the middle is resumed, with nothing lost or doubled", async ({ browser }) => {
  const one = await Person.comes(browser, "member17");
  const other = await Person.comes(browser, "member18", DESK);
  await one.enters();
  await other.enters();
  const texts: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    const text = makeUnique(`第 ${round + 1} 轮`);
    texts.push(text);
    await one.says(text);
    await setNetwork(one.page, "cut");
    const apart = makeUnique(`断开时第 ${round + 1} 轮`);
    texts.push(apart);
    await other.says(apart);
    await setNetwork(one.page, "whole");
    await one.sees(apart);
  }
  await expect(one.page.locator("article.outgoing")).toHaveCount(0);
  // The list draws what is on the screen: all of it is read by scrolling.
  const read = async (person: Person) => (await person.reads()).map(({ text }) => text).filter((text) => texts.includes(text));
  const order = await read(one);
  expect([...order].sort()).toEqual([...texts].sort());
  expect(await read(other)).toEqual(order);
  await one.leaves();
  await other.leaves();
});

test("reading back, the list does not jump, and tells how many are new", async ({ browser }) => {
  const reader = await Person.comes(browser, "member19");
  const writer = await Person.comes(browser, "staff20", DESK);
  await reader.enters();
  await writer.enters();
  const before = makeUnique("铺垫");
  for (let index = 0; index < 12; index += 1) await writer.says(`${before} ${index}`);
  await reader.sees(`${before} 11`);
  await reader.readsBack(500);
  await expect(reader.toNewest).toHaveText("回到最新");
  const place = await reader.readsAt();
  expect(place?.id).toBeDefined();
  const newly = makeUnique("新到");
  for (let index = 0; index < 3; index += 1) await writer.says(`${newly} ${index}`);
  await expect(reader.toNewest).toHaveText("3 条新发言");
  const after = await reader.readsAt();
  expect(after?.id).toBe(place?.id);
  expect(Math.abs((after?.at ?? 0) - (place?.at ?? Infinity))).toBeLessThan(3);
  await reader.toNewest.click();
  await expect(reader.log.locator("article.comment").filter({ hasText: `${newly} 2` })).toBeInViewport();
  await expect(reader.toNewest).toHaveCount(0);
  await reader.leaves();
  await writer.leaves();
});
