// A vote in a room, by two people and the one who asks; and what moderators do and undo.
import { expect, test } from "@playwright/test";
import { ConsultationState } from "@yitang/sdk";
import { signInProgram } from "../support/log";
import { DESK, PHONE, Person, direct, makeUnique, url } from "../support/page";

/** An open consultation of its own, and its id. */
async function openConsultation(title: string): Promise<string> {
  const { consultations } = (await signInProgram(direct(), "staff1")).services;
  const open = (await consultations.listConsultations({ limit: 100 })).consultations.find((one) => /老旧小区/.test(one.title));
  const organisation = open?.organisation ?? 1;
  const everybody = { organisations: [{ organisation, withBelow: true }], roles: [], people: [] };
  const { id } = await consultations.createConsultation({ clientId: crypto.randomUUID(), organisation, title, watch: everybody, post: everybody });
  await consultations.setConsultationState({ id, state: ConsultationState.OPEN });
  return id;
}
async function come(browser: Parameters<typeof Person.comes>[0], login: string, id: string, options: NonNullable<Parameters<typeof Person.comes>[2]>): Promise<Person> {
  const person = await Person.comes(browser, login, options);
  await person.page.goto(`${url()}/c/${id}`);
  await person.isLive();
  return person;
}
/** Why this person may not post now. */
const refusalOf = ({ page }: Person) => page.locator("form.composer").getByRole("status");

test("two people vote and change their minds, both see how it stands, and who asked ends it", async ({ browser }) => {
  const id = await openConsultation(makeUnique("请你来协商：助餐点设在哪里"));
  const staff = await come(browser, "staff1", id, DESK);
  const one = await come(browser, "member21", id, PHONE);
  const two = await come(browser, "member22", id, DESK);
  const question = makeUnique("是否同意在三个社区试点设立助餐点？");

  await staff.page.getByRole("button", { name: "主持操作" }).click();
  const sheet = staff.page.getByRole("dialog");
  await sheet.getByRole("button", { name: "发起表决" }).click();
  await sheet.getByLabel("表决事项").fill(question);
  await sheet.getByLabel("选项 1", { exact: true }).fill("同意");
  await sheet.getByLabel("选项 2", { exact: true }).fill("同意 ");
  await sheet.getByRole("button", { name: "发起表决" }).click();
  // What is wrong stands at its field, which has the focus.
  await expect(sheet.getByText("与选项 1 相同，请改一改。")).toBeVisible();
  await expect(sheet.getByLabel("选项 2", { exact: true })).toBeFocused();
  await sheet.getByLabel("选项 2", { exact: true }).fill("不同意");
  await sheet.getByRole("button", { name: "添加选项" }).click();
  await sheet.getByLabel("选项 3", { exact: true }).fill("先听取居民意见，下次再议");
  await sheet.getByRole("button", { name: "发起表决" }).click();
  await expect(sheet).toHaveCount(0);

  const pollOf = ({ log }: Person) => log.getByRole("article").filter({ hasText: question });
  const option = (person: Person, name: RegExp) => pollOf(person).getByRole("radio", { name });
  const stands = async (person: Person, yes: number, no: number) => {
    await expect(option(person, new RegExp(`^同意，${yes} 票`))).toBeVisible();
    await expect(option(person, new RegExp(`^不同意，${no} 票`))).toBeVisible();
  };
  for (const person of [staff, one, two]) await stands(person, 0, 0);
  // A member may not ask, nor end it.
  await expect(one.page.getByRole("button", { name: "更多操作" })).toHaveCount(0);
  await expect(pollOf(one).getByRole("button", { name: "结束表决" })).toHaveCount(0);
  // Nothing to vote with is smaller than a finger.
  for (const box of await pollOf(one).getByRole("radio").evaluateAll((all) => all.map((radio) => radio.getBoundingClientRect().height))) {
    expect(box).toBeGreaterThanOrEqual(44);
  }

  await option(one, /^同意/).click();
  await expect(option(one, /^同意/)).toHaveAttribute("aria-checked", "true");
  for (const person of [staff, one, two]) await stands(person, 1, 0);
  // By the keyboard alone.
  await option(two, /^同意/).focus();
  await two.page.keyboard.press("ArrowDown");
  await expect(option(two, /^不同意/)).toBeFocused();
  await two.page.keyboard.press("Space");
  for (const person of [staff, one, two]) await stands(person, 1, 1);
  await option(two, /^同意/).click();
  for (const person of [staff, one, two]) await stands(person, 2, 0);

  // One's own choice is known again after a reload, and is counted once.
  await two.page.reload();
  await two.isLive();
  await expect(option(two, /^同意/)).toHaveAttribute("aria-checked", "true");
  await stands(two, 2, 0);

  await pollOf(staff).getByRole("button", { name: "结束表决" }).click();
  const asked = staff.page.getByRole("alertdialog");
  await expect(asked).toContainText("已有 2 人投票");
  await asked.getByRole("button", { name: "结束表决" }).click();
  for (const person of [staff, one, two]) await expect(pollOf(person).getByText("已结束")).toBeVisible();
  await option(one, /^不同意/).click({ force: true });
  await expect(option(one, /^不同意/)).toHaveAttribute("aria-disabled", "true");
  await stands(one, 2, 0);
  for (const person of [staff, one, two]) await person.leaves();
});

test("who was far away when a poll was asked finds their choice of before", async ({ browser }) => {
  const id = await openConsultation(makeUnique("请你来协商：公交线路怎样调整"));
  const programs = { staff: await signInProgram(direct(), "staff1"), member: await signInProgram(direct(), "member23") };
  const post = (who: keyof typeof programs, content: object) =>
    programs[who].services.conversations.sendPost({ conversation: id, clientId: crypto.randomUUID(), content: content as never });
  const asked = await post("staff", { case: "poll", value: { question: "晚班车延长到几点？", options: ["九点", "十点"] } });
  await post("member", { case: "vote", value: { target: asked.position?.seq, option: 1 } });
  // More than the page holds at first: neither the poll nor the vote is among it, until one reads back.
  for (let count = 0; count < 120; count += 1) await post("staff", { case: "comment", value: { text: `第 ${count} 条说明` } });
  const member = await come(browser, "member23", id, PHONE);
  const answers: string[] = [];
  member.page.on("response", (response) => response.url().endsWith("PollService/GetPoll") && answers.push(response.url()));
  await member.page.goto(`${url()}/c/${id}#c${asked.position?.seq}`);
  await member.page.reload();
  await member.isLive();
  const poll = member.log.getByRole("article").filter({ hasText: "晚班车延长到几点？" });
  await expect(poll.getByRole("radio", { name: /^十点，1 票/ })).toHaveAttribute("aria-checked", "true");
  // Told by the log where it reaches back to the vote, else asked for once.
  expect(answers.length).toBeLessThanOrEqual(1);
  await member.leaves();
});

test("what was hidden is given back before everybody, and acts are listed, each with what undoes it", async ({ browser }) => {
  const id = await openConsultation(makeUnique("请你来协商：夜市怎样管"));
  const staff = await come(browser, "staff1", id, PHONE);
  const member = await come(browser, "member24", id, DESK);
  const said = makeUnique("夜市可以办到十点");
  await member.says(said);
  await staff.sees(said);
  const hide = async () => {
    await staff.log.locator("article.comment").filter({ hasText: said }).getByRole("button", { name: "对这条发言的操作" }).click();
    await staff.page.getByRole("dialog").getByRole("button", { name: "隐藏" }).click();
    await staff.page.getByLabel("隐藏原因").fill("误以为重复");
    await staff.page.getByRole("dialog").getByRole("button", { name: "隐藏" }).click();
    await expect(member.page.getByText("一条发言已被主持人隐藏：误以为重复")).toBeVisible();
    await expect(member.log.getByText(said)).toHaveCount(0);
  };
  await hide();
  await expect(member.page.getByRole("button", { name: "恢复显示" })).toHaveCount(0);
  await staff.log.getByRole("button", { name: "恢复显示" }).click();
  const dialog = staff.page.getByRole("dialog");
  await dialog.getByLabel("恢复原因").fill("并不重复");
  await dialog.getByRole("button", { name: "恢复显示" }).click();
  await member.sees(said);
  await staff.sees(said);

  await hide();
  await staff.log.getByRole("button", { name: "恢复显示" }).waitFor();
  await staff.page.getByRole("button", { name: "主持操作" }).click();
  await dialog.getByRole("button", { name: "处置记录" }).click();
  const acts = dialog.getByRole("listitem");
  await expect(acts.first()).toContainText(/隐藏了第 \d+ 条发言/);
  await expect(acts.first()).toContainText("原因：误以为重复");
  await expect(acts.nth(1)).toContainText("恢复了第");
  await expect(acts.nth(1)).toContainText("原因：并不重复");
  // The first hiding was undone already: only the second can be.
  await expect(dialog.getByRole("button", { name: "恢复显示" })).toHaveCount(1);
  await acts.first().getByRole("button", { name: "恢复显示" }).click();
  await expect(dialog.getByRole("button", { name: "恢复显示" })).toHaveCount(0);
  await member.sees(said);

  await dialog.getByRole("button", { name: "关闭" }).click();
  await staff.log.locator("article.comment").filter({ hasText: said }).getByRole("button", { name: "对这条发言的操作" }).click();
  await dialog.getByRole("button", { name: "禁言 10 分钟" }).click();
  await expect(refusalOf(member)).toBeVisible();
  await staff.page.getByRole("button", { name: "主持操作" }).click();
  await dialog.getByRole("button", { name: "处置记录" }).click();
  await acts.first().getByRole("button", { name: "解除禁言" }).click();
  await expect(acts.first()).toContainText("解除了");
  await expect(refusalOf(member)).toHaveCount(0);
  await staff.leaves();
  await member.leaves();
});

test("what is closed is reopened with a reason, and what is announced is withdrawn", async ({ browser }) => {
  const id = await openConsultation(makeUnique("请你来协商：河道怎样保洁"));
  const staff = await come(browser, "staff1", id, DESK);
  const member = await come(browser, "member25", id, PHONE);
  const control = async (name: string) => {
    await staff.page.getByRole("button", { name: "主持操作" }).click();
    await staff.page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  };
  await control("结束协商");
  await staff.page.getByRole("alertdialog").getByRole("button", { name: "结束协商" }).click();
  await expect(member.page.getByText("已结束", { exact: true })).toBeVisible();
  await expect(refusalOf(member)).toBeVisible();
  await control("重新开放");
  const form = staff.page.getByRole("dialog").locator("form");
  await expect(form).toContainText("可以继续发言");
  await form.getByLabel("重新开放的原因").fill("还有委员要发言");
  await form.getByRole("button", { name: "重新开放" }).click();
  await expect(staff.page.getByRole("dialog")).toHaveCount(0);
  await expect(refusalOf(member)).toHaveCount(0);
  const said = makeUnique("补充一条");
  await member.says(said);
  await staff.sees(said);
  await staff.page.getByRole("button", { name: "主持操作" }).click();
  await staff.page.getByRole("dialog").getByRole("button", { name: "处置记录" }).click();
  await expect(staff.page.getByRole("dialog").getByRole("listitem").first()).toContainText("还有委员要发言");

  const { consultations } = (await signInProgram(direct(), "staff1")).services;
  const title = makeUnique("请你来协商：稍后再议");
  const { organisation, watch, post } = await consultations.getConsultation({ id });
  const opensMs = BigInt(Date.now() + 86_400_000);
  const announced = await consultations.createConsultation({ clientId: crypto.randomUUID(), organisation, title, opensMs, ...(watch ? { watch } : {}), ...(post ? { post } : {}) });
  await member.page.goto(url());
  await expect(member.page.getByRole("heading", { name: title })).toBeVisible();
  await staff.page.goto(`${url()}/c/${announced.id}`);
  await control("撤回为草稿");
  await expect(staff.page.getByRole("alertdialog")).toContainText("从参加人的列表里消失");
  await staff.page.getByRole("alertdialog").getByRole("button", { name: "撤回为草稿" }).click();
  // It leaves the member's list by itself.
  await expect(member.page.getByRole("heading", { name: title })).toHaveCount(0);
  await staff.leaves();
  await member.leaves();
});
