import { expect, test } from "@playwright/test";
import { Person } from "../support/page";
import { BUDGET, GZIP_ONLY, measureWeight } from "../support/weight";

test("the room's first load takes no more script than its budget, as the browser counts it", async ({ browser }) => {
  const member = await Person.comes(browser, "member61");
  await member.enters();
  const storageState = await member.page.context().storageState();
  // A first visit: nothing is in the cache.
  const context = await browser.newContext({ storageState, ...GZIP_ONLY });
  const first = await context.newPage();
  await first.goto(member.page.url());
  await expect(first.getByText("进行中")).toBeVisible();
  await expect(first.getByRole("status").filter({ hasText: "已连接" })).toBeAttached();
  const weight = await measureWeight(first);
  // What was weighed is script, and as gzip has it: much less than it is unpacked.
  expect(weight.script).toBeGreaterThan(20 * 1024);
  expect(weight.script).toBeLessThan(weight.unpacked / 2);
  expect(weight.script).toBeLessThanOrEqual(BUDGET);
  await context.close();
  await member.leaves();
});
