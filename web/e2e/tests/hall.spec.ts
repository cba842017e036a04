import { expect, test } from "@playwright/test";
import { DESK, Person, makeUnique, url } from "../support/page";

const HALL = { viewport: { width: 1920, height: 1080 } };

test("a screen shows the consultation by its link, follows it over a reload, and goes dark when the link is ended", async ({ browser }) => {
  const staff = await Person.comes(browser, "staff1", DESK);
  const member = await Person.comes(browser, "member71");
  await staff.enters();
  await member.enters();
  const room = new URL(staff.page.url()).pathname;
  await staff.page.goto(`${url()}${room}/edit`);
  const name = makeUnique("一号会议厅主屏");
  await staff.page.getByLabel("屏幕名称").fill(name);
  await staff.page.getByRole("button", { name: "生成链接" }).click();
  const link = new URL((await staff.page.locator("code").textContent()) ?? "");
  expect(link.pathname).toBe(room.replace("/c/", "/hall/"));
  expect(link.hash.length).toBeGreaterThan(20);

  const context = await browser.newContext({ ...HALL, locale: "zh-CN" });
  const screen = await context.newPage();
  await screen.goto(url() + link.pathname + link.hash);
  await expect(screen.getByRole("heading", { name: /老旧小区/ })).toBeVisible();
  const said = makeUnique("大屏上看得见的一条");
  await member.says(said);
  await expect(screen.getByText(said)).toBeVisible();
  // Nothing there can be pressed, and it can be read from the last row.
  await expect(screen.locator("button, a, input, select, textarea")).toHaveCount(0);
  expect(await screen.getByText(said).evaluate((element) => parseFloat(getComputedStyle(element).fontSize))).toBeGreaterThanOrEqual(44);
  await screen.reload();
  await expect(screen.getByText(said)).toBeVisible();

  await staff.page.getByRole("listitem").filter({ hasText: name }).getByRole("button", { name: "停用" }).click();
  await staff.page.getByRole("alertdialog").getByRole("button", { name: "停用" }).click();
  await expect(screen.getByText("此大屏链接已失效")).toBeVisible();
  await expect(screen.getByText(said)).toHaveCount(0);
  await screen.reload();
  await expect(screen.getByText("此大屏链接已失效")).toBeVisible();
  await context.close();
  await member.leaves();
  await staff.leaves();
});

test("the call comes as a banner without a reload, leads into the room, and is put away for good", async ({ browser }) => {
  const staff = await Person.comes(browser, "staff1", DESK);
  const member = await Person.comes(browser, "member72");
  const other = await Person.comes(browser, "member73");
  await expect(member.page.getByRole("heading", { name: "我的协商" })).toBeVisible();
  await staff.enters();
  await staff.page.getByRole("button", { name: "主持操作" }).click();
  await staff.page.getByRole("dialog").getByRole("button", { name: "通知全体参会人员" }).click();
  // Others that are open may call too; the newest call is the one that is shown.
  const banner = (person: Person) => person.page.getByRole("complementary", { name: "协商通知" }).filter({ hasText: /老旧小区/ });
  await expect(banner(member)).toBeVisible();
  await banner(member).getByRole("link", { name: "进入协商" }).click();
  await member.isLive();
  await expect(banner(member)).toHaveCount(0);
  await banner(other).getByRole("button", { name: "稍后再说" }).click();
  await expect(banner(other)).toHaveCount(0);
  await other.page.reload();
  await expect(other.page.getByRole("heading", { name: "我的协商" })).toBeVisible();
  await expect(other.page.getByRole("link", { name: /老旧小区/ }).first()).toBeVisible();
  await expect(banner(other)).toHaveCount(0);
  for (const person of [staff, member, other]) await person.leaves();
});
