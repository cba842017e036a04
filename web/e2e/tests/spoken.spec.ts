// What a screen reader finds, step by step, as docs/accessibility.md tells it. With DOCS=1 the blocks there are written
// anew; then they are to be read before they are kept.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Locator, expect, test } from "@playwright/test";
import { signInProgram } from "../support/log";
import { PHONE, Person, direct, setNetwork, url } from "../support/page";
import { type Scene, setScene } from "../support/scene";

const FILE = fileURLToPath(new URL("../../../docs/accessibility.md", import.meta.url));
const WRITES = Boolean(process.env["DOCS"]);
const BLOCK = /<!-- (\S+) -->\n```yaml\n([\s\S]*?)```/g;

let text = readFileSync(FILE, "utf8");
const blocks = new Map([...text.matchAll(BLOCK)].map(([, name, block]) => [name ?? "", block ?? ""]));
const told = new Set<string>();

let scene: Scene;
test.beforeAll(async ({ browser }) => {
  scene = await setScene(browser);
});

/** What stands there is what the document says. */
async function tells(name: string, locator: Locator): Promise<void> {
  told.add(name);
  const block = blocks.get(name);
  if (block === undefined) throw new Error(`docs/accessibility.md has no block named ${name}`);
  if (WRITES) {
    const now = lasting(await locator.ariaSnapshot());
    text = text.replace(`<!-- ${name} -->\n\`\`\`yaml\n${block}\`\`\``, () => `<!-- ${name} -->\n\`\`\`yaml\n${now}\n\`\`\``);
    writeFileSync(FILE, text);
  } else await expect(locator).toMatchAriaSnapshot(block);
}

const depth = (line = "") => line.search(/\S|$/);

/** Times and counts are of their moment: any will do. */
function lasting(snapshot: string): string {
  const varies = /\d{2}:\d{2}|在场(至少)? \d+ 人|\d+ 条未读|(?<=还可写约 )[\d,]+|\d+ (?=条|人)/;
  const pattern = (value: string) => value.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/\d{2}:\d{2}/g, "\\d+:\\d+").replace(/[\d,]+(?= [条人字]|$)/g, "[\\d,]+");
  return snapshot
    .split("\n")
    .filter((line) => !/^\s*- \/url:/.test(line))
    // A link that had nothing but its address has nothing below it now.
    .map((line, index, lines) => (line.endsWith(":") && depth(lines[index + 1]) <= depth(line) ? line.slice(0, -1) : line))
    .map((line) => {
      if (!varies.test(line)) return line;
      const [, start = "", name, rest = ""] = /^(\s*- [a-z]+)(?: "([^"]*)")?(.*)$/.exec(line) ?? [];
      const said = /^: (.*)$/.exec(rest)?.[1];
      const label = name === undefined ? "" : varies.test(name) ? ` /${pattern(name)}/` : ` "${name}"`;
      const end = said === undefined ? rest : varies.test(said) ? `: /${pattern(said.replace(/^"|"$/g, ""))}/` : rest;
      return `${start}${label}${end}`;
    })
    .join("\n");
}

test("the room read out is as docs/accessibility.md tells it, from signing in to a comment that waits", async ({ browser }) => {
  const stranger = await (await browser.newContext({ ...PHONE, baseURL: url() })).newPage();
  await stranger.goto("/sign-in");
  await expect(stranger.getByText("演示系统")).toBeVisible();
  await tells("signing-in", stranger.locator("main"));
  await stranger.context().close();

  // A consultation of its own: what stands in the log is known to the letter.
  const person = await Person.comes(browser, "member46", PHONE, `/c/${scene.spoken}`);
  const { page } = person;
  await expect(page.locator("article.comment")).toHaveCount(3);
  await expect(page.getByText(/在场 \d+ 人/).first()).toBeVisible();
  await tells("top-of-the-room", page.locator("header").first());
  await tells("list", person.log);
  await tells("composer", page.locator("form").last());

  await page.getByRole("button", { name: /在场/ }).first().click();
  await expect(page.getByRole("dialog").getByText("浙江省").first()).toBeVisible();
  await tells("who-is-here", page.getByRole("dialog"));
  await page.keyboard.press("Escape");
  await person.log.locator("article.comment").nth(1).getByRole("button", { name: "对这条发言的操作" }).click();
  await tells("actions", page.getByRole("dialog"));
  await page.getByRole("dialog").getByRole("button", { name: "回复" }).click();
  await tells("answering", page.locator("form").last());

  // A flood is a number every few seconds, and no torrent.
  const speaker = await signInProgram(direct(), "member47");
  const say = async (said: string) => {
    const content = { case: "comment" as const, value: { text: said, replyTo: 0n } };
    await speaker.services.conversations.sendPost({ conversation: scene.spoken, clientId: crypto.randomUUID(), content });
  };
  const heard = page.locator("[role=status][aria-live=polite], [aria-live=polite]").filter({ hasText: /条新发言/ });
  for (let index = 0; index < 20; index += 1) await say(`第 ${index} 条`);
  await expect(heard).toHaveText(/^\d+ 条新发言$/);
  await expect(person.log).toHaveAttribute("aria-live", "off");

  await setNetwork(page, "cut");
  await expect(page.getByRole("status").filter({ hasText: /重新连接/ })).toBeAttached();
  await person.says("断线时说的一句");
  const outgoing = page.locator("article.outgoing");
  await expect(outgoing).toContainText("等待发送");
  await tells("without-a-line", outgoing);
  await setNetwork(page, "whole");
  await expect(outgoing).toHaveCount(0);
  await expect(page.getByRole("status").filter({ hasText: "已连接" })).toBeAttached();
  await person.leaves();
  // Nothing in the document is left that no page says any more.
  expect([...blocks.keys()].sort()).toEqual([...told].sort());
});
