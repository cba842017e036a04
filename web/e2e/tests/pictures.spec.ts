import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContextOptions, type Page, expect, test } from "@playwright/test";
import { DESK, PHONE } from "../support/page";
import { reduceToPalette } from "../support/png";
import { type Locale, type Place, PLACES, type Scene, type Size, type Theme, openDressed, setScene, visit } from "../support/scene";

// `npm run pictures` makes those in docs/pictures anew; otherwise they are only taken.
const kept = fileURLToPath(new URL("../../../docs/pictures", import.meta.url));
const folder = process.env["PICTURES"] ? kept : join(tmpdir(), "yitang-pictures");
/** All of them together, bytes. */
const MOST_BYTES = 6_000_000;

const SCREEN: BrowserContextOptions = { viewport: { width: 1920, height: 1080 } };
const SMALL_PHONE: BrowserContextOptions = { ...PHONE, deviceScaleFactor: 1.5 };

interface Look {
  name: string;
  options: BrowserContextOptions;
  locale: Locale;
  size: Size;
  theme: Theme;
  of: (place: Place) => boolean;
}
const isHall = (place: Place) => place.name === "hall";
const LOOKS: Look[] = [
  { name: "phone", options: PHONE, locale: "zh-CN", size: "normal", theme: "light", of: (place) => !isHall(place) },
  { name: "desk-en", options: DESK, locale: "en", size: "normal", theme: "light", of: (place) => !isHall(place) },
  { name: "phone-huge-dark", options: SMALL_PHONE, locale: "zh-CN", size: "huge", theme: "dark", of: (place) => !isHall(place) },
  { name: "desk", options: { viewport: { width: 1440, height: 900 } }, locale: "zh-CN", size: "normal", theme: "light", of: ({ name }) => ["room", "home", "document", "room-control"].includes(name) },
  { name: "desk-dark", options: DESK, locale: "zh-CN", size: "normal", theme: "dark", of: ({ name }) => ["room", "home"].includes(name) },
  { name: "phone-en", options: SMALL_PHONE, locale: "en", size: "normal", theme: "light", of: ({ name }) => ["room", "home", "sign-in"].includes(name) },
  { name: "screen", options: SCREEN, locale: "zh-CN", size: "normal", theme: "light", of: isHall },
  { name: "screen-en", options: SCREEN, locale: "en", size: "normal", theme: "light", of: isHall },
  { name: "screen-dark", options: SCREEN, locale: "zh-CN", size: "normal", theme: "dark", of: isHall },
];

let scene: Scene;
test.beforeAll(async ({ browser }) => {
  mkdirSync(folder, { recursive: true });
  scene = await setScene(browser);
});

async function take(page: Page, name: string): Promise<number> {
  // Images are there, and what is chosen from the list of organisations, which comes after the page.
  await page.waitForFunction(() => [...document.images].every((image) => image.complete) && [...document.querySelectorAll("select")].every((one) => one.selectedIndex >= 0));
  const picture = await page.screenshot({ animations: "disabled", caret: "hide" });
  const small = reduceToPalette(picture);
  writeFileSync(join(folder, `${name}.png`), small);
  return small.length;
}

// In the suite each page is taken once.
for (const look of LOOKS.filter(({ name }) => process.env["PICTURES"] || name === "phone" || name === "screen")) {
  test(`pictures of every page: ${look.name}`, async ({ browser }) => {
    test.setTimeout(180_000);
    for (const place of PLACES.filter(look.of)) {
      const context = await openDressed(browser, scene, place.as, look, look.options);
      const page = await context.newPage();
      await visit(page, scene, place);
      expect(await take(page, `${look.name}-${place.name}`)).toBeGreaterThan(4_000);
      await context.close();
    }
  });
}

test("the pictures in docs/pictures are no burden on the repository", () => {
  const sizes = readdirSync(kept).map((name) => statSync(join(kept, name)).size);
  expect(sizes.length).toBeGreaterThan(3);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MOST_BYTES);
});
