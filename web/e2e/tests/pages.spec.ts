// Every page in every language, opened once and asked everything there: what axe finds, in every size and theme; what can be
// hit by a finger; what is cut off at 400 %; and of which language its words are.
import { type Page, expect, test } from "@playwright/test";
import { BY_LOOK, LOOKS, findSmallTargets, findOverflows, findViolations } from "../support/barriers";
import { signInProgram } from "../support/log";
import { DESK, PHONE, direct } from "../support/page";
import { type Locale, type Scene, dress, visitAll, setScene, waitUntilSettled, waitUntilStill } from "../support/scene";
import { collectData, findForeignWords } from "../support/words";

let scene: Scene;
let data: string[];
test.beforeAll(async ({ browser }) => {
  scene = await setScene(browser);
  data = await collectData(await signInProgram(direct(), "staff1"), scene);
});

const named = (name: string, found: string[]) => found.map((one) => `${name}: ${one}`);

async function barriers(page: Page): Promise<string[]> {
  await dress(page, "normal", "light");
  return named("axe", await findViolations(page));
}

/** What is asked on a phone: fingers, and each other size and theme. */
async function barriersByLook(page: Page): Promise<string[]> {
  const found = named("smaller than a finger", await page.evaluate(findSmallTargets));
  for (const { size, theme } of LOOKS) {
    await dress(page, size, theme);
    found.push(...named(`${size}, ${theme}`, await findViolations(page, BY_LOOK)));
  }
  return found;
}

async function words(page: Page, locale: Locale): Promise<string[]> {
  await waitUntilSettled(page);
  return named("not of the language", await findForeignWords(page, locale, data));
}

/** A desk of 1280 × 1024 at 400 %. */
async function cutOff(page: Page): Promise<string[]> {
  await dress(page, "normal", "light");
  await resize(page, { width: 320, height: 256 });
  return named("at 400 %", await page.evaluate(findOverflows));
}

async function resize(page: Page, size: { width: number; height: number }): Promise<void> {
  await page.setViewportSize(size);
  await waitUntilStill(page);
}

// Every look in one language, on a phone; in the other, where only the names differ, all rules once, at a desk.
test("on every page axe finds nothing, whatever can be tapped is 44 pixels wide and high, in every size of text, light, dark and with high contrast, at 400 % nothing is cut off or must be scrolled sideways, and every word is Chinese", async ({ browser }) => {
  test.setTimeout(600_000);
  const options = { viewport: PHONE.viewport ?? null, hasTouch: true };
  const found = await visitAll(browser, scene, { locale: "zh-CN" }, options, async (page) => {
    const onPhone = [...(await words(page, "zh-CN")), ...(await barriers(page)), ...(await barriersByLook(page))];
    // What is shown only where there is room.
    await resize(page, { width: 1280, height: 800 });
    return [...onPhone, ...(await words(page, "zh-CN")), ...(await cutOff(page))];
  });
  expect(found).toEqual({});
});

test("in English axe finds nothing on any page, at 400 % nothing is cut off or must be scrolled sideways, and every word is English", async ({ browser }) => {
  test.setTimeout(300_000);
  const found = await visitAll(browser, scene, { locale: "en" }, DESK, async (page) => [...(await words(page, "en")), ...(await barriers(page)), ...(await cutOff(page))]);
  expect(found).toEqual({});
});
