// A person with a keyboard alone. Wherever the focus goes, it must be somewhere, on the screen, and seen.
import { type Locator, type Page, expect } from "@playwright/test";

/** Further than this nobody goes by Tab. */
const MOST_STEPS = 60;

export class Keys {
  constructor(readonly page: Page) {}

  /** Presses a key, and looks where the focus is then. */
  async press(key: string): Promise<void> {
    await this.page.keyboard.press(key);
    await this.isSeen();
  }

  /** Goes on by Tab (or back) until it is there. */
  async tabTo(target: Locator, back = false): Promise<void> {
    const key = back ? "Shift+Tab" : "Tab";
    let ends = 0;
    for (let step = 0; step < MOST_STEPS; step += 1) {
      if (await target.evaluate((element) => element === document.activeElement)) return this.isSeen();
      await this.page.keyboard.press(key);
      // Past the last control comes the browser's own bar, and then the page again: once around, and no more.
      const isOutside = await this.page.evaluate(() => document.activeElement === document.body);
      if (isOutside && ends === 0) ends += 1;
      else await this.isSeen();
    }
    throw new Error(`Tab does not lead to ${target.toString()}`);
  }

  /** The focus stands on something that is on the screen and marked by more than a colour of its text. */
  async isSeen(): Promise<void> {
    await expect.poll(() => this.page.evaluate(whatIsWrong)).toBe("");
  }

  async isIn(target: Locator): Promise<void> {
    await expect.poll(() => target.evaluate((element) => element.contains(document.activeElement))).toBe(true);
  }
}

/** Runs in the page: why a person could not see where they are; nothing, where they can. */
function whatIsWrong(): string {
  const focus = document.activeElement;
  if (!(focus instanceof HTMLElement) || focus === document.body) return "the focus is lost";
  const box = focus.getBoundingClientRect();
  const name = focus.outerHTML.slice(0, 120);
  if (box.width === 0 || box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return `the focus is not on the screen: ${name}`;
  // A page that has just been opened has the focus as a whole.
  if (focus.matches("main, h1, [role=dialog], dialog")) return "";
  const isMarked = (one: Element | null): boolean => {
    if (!one) return false;
    const style = getComputedStyle(one);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || (style.boxShadow !== "none" && one.matches(":focus-visible, :focus-within"));
  };
  return isMarked(focus) || isMarked(focus.nextElementSibling) || isMarked(focus.parentElement) ? "" : `the focus cannot be seen: ${name}`;
}
