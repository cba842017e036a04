import AxeBuilder from "@axe-core/playwright";
import { type Page, expect, test } from "@playwright/test";
import { DESK, PHONE } from "../support/page";
import { LOCALES, SIZES, THEMES, type Scene, dress, everywhere, setScene } from "../support/scene";

let scene: Scene;
test.beforeAll(async ({ browser }) => {
  scene = await setScene(browser);
});

/** What depends on colours and sizes alone: asked again in each of them. */
const BY_LOOK = ["color-contrast", "target-size"];
/** Every look in one language; in the other, where only the names differ, all rules once. */
const LOOKS = SIZES.flatMap((size) => THEMES.map((theme) => ({ size, theme }))).filter(({ size, theme }) => theme !== "contrast" || size === "normal");

async function violations(page: Page, rules?: string[]): Promise<string[]> {
  const axe = new AxeBuilder({ page }).setLegacyMode(true);
  const found = await (rules ? axe.withRules(rules) : axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])).analyze();
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)}: ${(node.failureSummary ?? "").split("\n").slice(1, 3).join(" ").trim()}`));
}

/** What a finger or a pointer can hit, with its size; links in the middle of a text are as high as its lines. */
function smallTargets(): string[] {
  const small: string[] = [];
  const shown = document.querySelector("dialog[open], [role=dialog]") ?? document;
  for (const one of shown.querySelectorAll<HTMLElement>("a, button, input, select, textarea, summary, [role=button], [role=switch], [role=radio]")) {
    const style = getComputedStyle(one);
    if (style.visibility === "hidden" || !one.checkVisibility({ opacityProperty: true })) continue;
    if (one.closest(".unseen, [aria-hidden=true], .skip") || (one as HTMLInputElement).type === "hidden") continue;
    if (one.tagName === "A" && style.display === "inline" && /\S/.test((one.parentElement?.textContent ?? "").replace(one.textContent ?? "", ""))) continue;
    // A box and its label are one target; so is a field and what frames it.
    const label = one.closest("label") ?? (one.id ? document.querySelector(`label[for="${CSS.escape(one.id)}"]`) : null);
    const boxes = [one.getBoundingClientRect(), ...((one as HTMLInputElement).type === "checkbox" || (one as HTMLInputElement).type === "radio" ? [label?.getBoundingClientRect()] : [])];
    const width = Math.max(...boxes.map((box) => box?.width ?? 0));
    const height = Math.max(...boxes.map((box) => box?.height ?? 0));
    if (width < 43.5 || height < 43.5) small.push(`${one.outerHTML.slice(0, 120)}: ${width.toFixed(1)} × ${height.toFixed(1)}`);
  }
  return small;
}

/** What sticks out of the screen sideways. */
function tooWide(): string[] {
  const out: string[] = [];
  const root = document.scrollingElement as HTMLElement;
  if (root.scrollWidth > innerWidth) out.push(`the page is ${root.scrollWidth} wide`);
  for (const one of document.querySelectorAll<HTMLElement>("body *")) {
    if (one.closest(".unseen, [aria-hidden=true], .skip, svg") || !one.checkVisibility()) continue;
    const box = one.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) out.push(`${one.outerHTML.slice(0, 100)}: ${box.left.toFixed(0)} to ${box.right.toFixed(0)}`);
  }
  return out.slice(0, 8);
}

// Each page is opened once in a language, and asked everything there.
for (const locale of LOCALES) {
  const options = locale === "en" ? DESK : { viewport: PHONE.viewport ?? null, hasTouch: true };
  const asked = locale === "en" ? "" : ", whatever can be tapped is 44 pixels wide and high, in every size of text, light, dark and with high contrast,";
  test(`on every page axe finds nothing${asked} and at 400 % nothing is cut off or must be scrolled sideways (${locale})`, async ({ browser }) => {
    test.setTimeout(300_000);
    const found = await everywhere(browser, scene, { locale }, options, async (page) => {
      const all = locale === "en" ? [] : await page.evaluate(smallTargets);
      for (const { size, theme } of locale === "en" ? LOOKS.slice(0, 1) : LOOKS) {
        await dress(page, size, theme);
        const whole = size === "normal" && theme === "light";
        all.push(...(await violations(page, whole ? undefined : BY_LOOK)).map((one) => `${size}, ${theme}: ${one}`));
      }
      // A desk of 1280 × 1024 at 400 %.
      await dress(page, "normal", "light");
      await page.setViewportSize({ width: 320, height: 256 });
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      return [...all, ...(await page.evaluate(tooWide)).map((one) => `at 400 %: ${one}`)];
    });
    expect(found).toEqual({});
  });
}
