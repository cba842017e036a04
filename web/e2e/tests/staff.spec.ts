import { expect, test } from "@playwright/test";
import { DESK, PHONE, Person, makeUnique, url } from "../support/page";

/** What the service tells at once is there long before a page would ask, however busy the machine. */
const SOON = { timeout: 10_000 };

test("staff make a consultation, open, pause and close it, and members feel each at once", async ({ browser }) => {
  const staff = await Person.comes(browser, "staff1", DESK);
  const member = await Person.comes(browser, "member21");
  const title = makeUnique("文化惠民怎样到村头");
  await staff.page.getByRole("link", { name: "发起协商" }).click();
  await staff.page.getByRole("textbox", { name: "题目", exact: true }).fill(title);
  await staff.page.getByLabel("议程与背景").fill("一、情况介绍\n二、讨论");
  // With a time it is announced; without one it would be a draft, which only staff see.
  await staff.page.getByLabel("自动开始时间").fill(new Date(Date.now() + 86_400_000).toISOString().slice(0, 16));
  await staff.page.getByRole("button", { name: "创建" }).click();
  await expect(staff.page.getByRole("heading", { name: "修改协商" })).toBeVisible();
  await staff.page.getByRole("link", { name: title }).click();
  await staff.page.waitForURL(/\/c\/[0-9a-f-]{36}$/);

  await member.page.goto(staff.page.url());
  await expect(member.page.getByRole("heading", { name: title })).toBeVisible();
  await expect(member.page.getByText("协商尚未开始。")).toBeVisible();

  const control = async (name: string) => {
    await staff.page.getByRole("button", { name: "主持操作" }).click();
    await staff.page.getByRole("dialog").getByRole("button", { name }).click();
    await expect(staff.page.getByRole("dialog")).toHaveCount(0);
  };
  await control("开始协商");
  await expect(member.page.getByText("进行中")).toBeVisible(SOON);
  await expect(member.page.getByText("协商尚未开始。")).toHaveCount(0);
  const said = makeUnique("我先说两句");
  await member.says(said);
  await staff.sees(said);

  await control("暂停发言");
  await expect(member.page.getByText("协商已暂停，请稍候。")).toBeVisible(SOON);
  await control("继续协商");
  await expect(member.page.getByText("协商继续")).toBeVisible();

  await staff.page.locator("article.comment").filter({ hasText: said }).getByRole("button", { name: "对这条发言的操作" }).click();
  await staff.page.getByRole("dialog").getByRole("button", { name: "隐藏" }).click();
  await staff.page.getByLabel("隐藏原因").fill("与议题无关");
  await staff.page.getByRole("dialog").getByRole("button", { name: "隐藏" }).click();
  await expect(member.page.getByText("一条发言已被主持人隐藏：与议题无关")).toBeVisible();
  await expect(member.page.getByText(said)).toHaveCount(0);

  await staff.page.getByRole("button", { name: "主持操作" }).click();
  await staff.page.getByRole("dialog").getByRole("button", { name: "结束协商" }).click();
  // It cannot be undone, so it is asked once more.
  await staff.page.getByRole("alertdialog").getByRole("button", { name: "结束协商" }).click();
  await expect(staff.page.getByRole("alertdialog")).toHaveCount(0);
  await expect(member.page.getByText("已结束", { exact: true })).toBeVisible(SOON);
  await staff.leaves();
  await member.leaves();
});

test("an author takes back and changes what they said", async ({ browser }) => {
  const author = await Person.comes(browser, "member22");
  const reader = await Person.comes(browser, "member23", DESK);
  await author.enters();
  await reader.enters();
  const first = makeUnique("有错字的发言");
  await author.says(first);
  await reader.sees(first);
  const act = async (text: string, name: string) => {
    await author.log.locator("article.comment").filter({ hasText: text }).getByRole("button", { name: "对这条发言的操作" }).click();
    await author.page.getByRole("dialog").getByRole("button", { name }).click();
  };
  await act(first, "修改");
  const second = makeUnique("改好了的发言");
  await author.says(second);
  await reader.sees(second);
  await expect(reader.log.getByText(first)).toHaveCount(0);
  await act(second, "撤回");
  await expect(reader.log.getByText(second)).toHaveCount(0);
  await expect(reader.log.getByText("发言人撤回了一条发言").last()).toBeVisible();
  await author.leaves();
  await reader.leaves();
});

test("a one-use link signs a new person in, who then finds their way by a password", async ({ browser }) => {
  const operator = await Person.comes(browser, "staff1", DESK);
  await operator.page.getByRole("link", { name: "通讯录" }).click();
  const name = makeUnique("新来的委员");
  const login = `new${Math.random().toString(36).slice(2, 9)}`;
  await operator.page.getByRole("button", { name: "新增人员" }).click();
  const form = operator.page.getByRole("dialog");
  await form.getByLabel("姓名").fill(name);
  await form.getByLabel("账号").fill(login);
  await form.getByRole("button", { name: "保存" }).click();
  await expect(form).toHaveCount(0);
  await operator.page.getByLabel("姓名").fill(name);
  const row = operator.page.getByRole("listitem").filter({ hasText: name });
  await row.getByRole("button", { name: "登录链接" }).click();
  const link = await operator.page.locator("code").textContent();
  expect(link).toContain(`${url()}/link#`);

  const page = await (await browser.newContext(PHONE)).newPage();
  await page.goto(link ?? "");
  // The secret does not stay in the address bar, where it could be read or shared.
  await expect(page).toHaveURL(`${url()}/link`);
  await page.getByLabel("新密码", { exact: true }).fill("这是一句我记得住的话。");
  await page.getByLabel("再输入一次").fill("这是一句我记得住的话。");
  await page.getByRole("button", { name: "设置并登录" }).click();
  await expect(page.getByRole("heading", { name: "我的协商" })).toBeVisible();

  const again = await (await browser.newContext(PHONE)).newPage();
  await again.goto(link ?? "");
  await again.getByLabel("新密码", { exact: true }).fill("这是另外一句别的话语。");
  await again.getByLabel("再输入一次").fill("这是另外一句别的话语。");
  await again.getByRole("button", { name: "设置并登录" }).click();
  await expect(again.getByRole("alert")).toContainText("登录链接无效");
  await page.context().close();
  await again.context().close();
  await operator.leaves();
});

test("ending a session elsewhere sends that page to the sign-in, with its draft kept", async ({ browser }) => {
  const here = await Person.comes(browser, "member24", DESK);
  await expect(here.page.getByRole("heading", { name: "我的协商" })).toBeVisible();
  const there = await Person.comes(browser, "member24");
  await there.enters();
  const draft = makeUnique("写到一半");
  await there.composer.fill(draft);
  await here.page.getByRole("link", { name: "我的", exact: true }).click();
  await here.page.getByRole("button", { name: "退出其他所有设备" }).click();
  await there.page.waitForURL(/sign-in/, SOON);
  await expect(there.page.getByText("未发出的发言仍保存在本机")).toBeVisible();
  await there.page.getByLabel("账号").fill("member24");
  await there.page.getByLabel("密码", { exact: true }).fill("yitang-demo");
  await there.page.getByRole("button", { name: "登录" }).click();
  await there.isLive();
  await expect(there.composer).toHaveValue(draft);
  await here.leaves();
  await there.leaves();
});
