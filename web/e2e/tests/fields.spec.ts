// Fields that are more than the browser's own.
import { expect, test } from "@playwright/test";
import { DESK, Person, makeUnique } from "../support/page";

test("staff name the moderators of a consultation, by keyboard alone, and take one away", async ({ browser }) => {
  const staff = await Person.comes(browser, "staff1", DESK);
  const { page } = staff;
  await page.getByRole("link", { name: "发起协商" }).click();
  await page.getByRole("textbox", { name: "题目", exact: true }).fill(makeUnique("谁来主持"));
  const field = page.getByRole("combobox", { name: "主持人" });
  const found = page.getByRole("listbox", { name: "主持人" });
  const chosen = page.getByRole("list", { name: "主持人" }).getByRole("listitem");
  const names: string[] = [];
  for (const text of ["王", "李"]) {
    await field.focus();
    await page.keyboard.type(text);
    await expect(found.getByRole("option").first()).toBeVisible();
    await page.keyboard.press("ArrowDown");
    const option = found.getByRole("option", { selected: true });
    const id = await option.getAttribute("id");
    await expect(field).toHaveAttribute("aria-activedescendant", id ?? "");
    names.push((await option.locator("strong").textContent()) ?? "");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("status").filter({ hasText: `已添加 ${names.at(-1)}。` })).toBeAttached();
    await expect(field).toBeFocused();
    await expect(field).toHaveValue("");
  }
  await expect(chosen).toHaveCount(2);
  await page.getByRole("button", { name: "创建" }).click();
  await expect(page.getByRole("heading", { name: "修改协商" })).toBeVisible();

  await page.reload();
  await expect(chosen).toHaveText(names.map((name) => new RegExp(name)));
  await page.getByRole("button", { name: `移除 ${names[0]}` }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: `移除 ${names[1]}` })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(field).toBeFocused();
  await page.keyboard.type("无此人名");
  await expect(page.getByText("没有找到。").first()).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(field).toHaveValue("");
  await page.getByRole("button", { name: "保存" }).click();
  await expect(page.getByText("已保存").first()).toBeVisible();
  await page.reload();
  await expect(field).toBeVisible();
  await expect(chosen).toHaveCount(0);
  await staff.leaves();
});

test("a file is chosen by a button in the page's words, and its name is shown", async ({ browser }) => {
  const staff = await Person.comes(browser, "staff1", DESK);
  const { page } = staff;
  await page.getByRole("link", { name: "通讯录" }).click();
  await page.getByRole("button", { name: "导入人员" }).click();
  const sheet = page.getByRole("dialog");
  await expect(sheet.getByText("尚未选择文件")).toBeVisible();
  const chooser = page.waitForEvent("filechooser");
  await sheet.getByText("选择文件", { exact: true }).click();
  await (await chooser).setFiles({ name: "名单.csv", mimeType: "text/csv", buffer: Buffer.from("姓名\n") });
  await expect(sheet.getByText("名单.csv")).toBeVisible();
  await expect(sheet.getByRole("button", { name: /先检查/ })).toBeEnabled();
  await staff.leaves();
});
