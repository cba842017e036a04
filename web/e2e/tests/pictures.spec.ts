import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Page, expect, test } from "@playwright/test";
import { DESK, PHONE, Person } from "../support/page";

// `npm run e2e -- pictures` with PICTURES=1 makes those of the README anew; otherwise they are only taken.
const folder = process.env["PICTURES"] ? fileURLToPath(new URL("../../../docs/pictures", import.meta.url)) : join(tmpdir(), "yitang-pictures");

async function take(page: Page, name: string): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  const picture = await page.screenshot({ path: join(folder, name), animations: "disabled", caret: "hide" });
  expect(picture.length).toBeGreaterThan(10_000);
}

test("the pictures of the README", async ({ browser }) => {
  mkdirSync(folder, { recursive: true });
  const stranger = await (await browser.newContext({ ...PHONE, locale: "zh-CN" })).newPage();
  await stranger.goto(new URL("/", process.env["YITANG_URL"] ?? process.env["E2E_URL"]).href);
  await expect(stranger.getByRole("button", { name: "登录" })).toBeVisible();
  await take(stranger, "phone-sign-in.png");
  const member = await Person.comes(browser, "member31");
  const staff = await Person.comes(browser, "staff1", DESK);
  const colleague = await Person.comes(browser, "member32", DESK);
  await expect(member.page.getByRole("link", { name: /老旧小区/ }).first()).toBeVisible();
  await take(member.page, "phone-home.png");
  await staff.enters();
  await colleague.enters();
  await member.enters();
  const said: [Person, string][] = [
    [staff, "各位委员好，今天围绕老旧小区改造协商，请大家踊跃发言。"],
    [member, "加装电梯要先听一楼住户的意见，补偿办法应当公开透明。"],
    [colleague, "建议把停车位和绿化一并规划，避免改造之后再返工。"],
    [member, "老年人多的楼栋，希望优先安排坡道和扶手。"],
    [staff, "第二条已转建设部门，会后三个工作日内书面答复。"],
  ];
  for (const [person, text] of said) {
    await person.says(text);
    for (const one of [member, staff, colleague]) await one.sees(text);
  }
  for (const one of [member, staff]) await expect(one.page.getByText("在场 3 人")).toBeVisible();
  // Counts of what was said come once a second.
  await expect(staff.page.getByText("5", { exact: true }).first()).toBeVisible();
  await take(member.page, "phone-room.png");
  await take(staff.page, "desk-room.png");
  for (const one of [member, staff, colleague]) await one.leaves();
  await stranger.context().close();
});
