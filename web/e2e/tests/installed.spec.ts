import { expect, test } from "@playwright/test";
import { DESK, Person, makeUnique, url } from "../support/page";

test("what was read opens without a network; what is written then is kept, and goes out", async ({ browser }) => {
  const member = await Person.comes(browser, "member75");
  const reader = await Person.comes(browser, "member76", DESK);
  await member.enters();
  await reader.enters();
  const said = makeUnique("断网之前说的");
  await member.says(said);
  await member.sees(said);
  // The shell is on the device, and so is the room, which is kept every few seconds.
  await member.page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await expect.poll(() => member.page.evaluate(shelfHas, said)).toBe(true);
  const room = member.page.url();
  await member.page.context().setOffline(true);
  await member.page.reload();
  await expect(member.page.getByText("保存在本机的内容")).toBeVisible();
  await expect(member.log.getByText(said)).toBeVisible();
  const later = makeUnique("断网之后写的");
  await member.says(later);
  await expect(member.page.locator("article.outgoing").filter({ hasText: later })).toContainText("等待发送");
  await member.page.goto(url());
  await expect(member.page.getByRole("link", { name: /老旧小区/ }).first()).toBeVisible();
  await member.page.context().setOffline(false);
  await member.page.goto(room);
  await member.sees(later);
  await reader.sees(later);
  await member.leaves();
  await reader.leaves();
});

test("it can be installed: a manifest, its icons, and a worker that never answers for the service", async ({ page, request }) => {
  await page.goto(url());
  const href = await page.locator("link[rel=manifest]").getAttribute("href");
  const manifest = (await (await request.get(new URL(href ?? "", url()).href)).json()) as { name: string; display: string; icons: { src: string; sizes: string }[] };
  expect(manifest).toMatchObject({ name: "议堂", display: "standalone" });
  expect(manifest.icons.map((icon) => icon.sizes)).toEqual(expect.arrayContaining(["192x192", "512x512"]));
  for (const icon of manifest.icons) expect((await request.get(new URL(icon.src, url()).href)).headers()["content-type"]).toMatch(/^image\//);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await page.reload();
  await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map((one) => new URL(one.url).pathname);
  });
  expect(kept).toContain("/");
  expect(kept.filter((path) => path.startsWith("/api") || path.startsWith("/yitang") || path.startsWith("/ws"))).toEqual([]);
});

/** Runs in the page: whether a room that is kept on the device holds a text. */
async function shelfHas(text: string): Promise<boolean> {
  // To open what is not there would make it, and not as the page does.
  if (!(await indexedDB.databases()).some(({ name }) => name === "yitang-shelf")) return false;
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await done(indexedDB.open("yitang-shelf"));
  const items: { table: string }[] = await done(database.transaction("items").objectStore("items").getAll());
  database.close();
  return JSON.stringify(items.filter(({ table }) => table === "rooms"), (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)).includes(text);
}
