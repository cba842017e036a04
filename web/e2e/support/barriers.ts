// What a machine can find of barriers on a page.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { SIZES, THEMES } from "./scene";

/** What depends on colours and sizes alone. */
export const BY_LOOK = ["color-contrast", "target-size"];
/** Three sizes of text, light and dark, and high contrast; but for the one in which all rules are asked. */
export const LOOKS = SIZES.flatMap((size) => THEMES.map((theme) => ({ size, theme }))).filter(({ size, theme }) => (size === "normal" ? theme !== "light" : theme !== "contrast"));

/** What axe finds: by all its rules, or by these. */
export async function findViolations(page: Page, rules?: string[]): Promise<string[]> {
  const axe = new AxeBuilder({ page }).setLegacyMode(true);
  const found = await (rules ? axe.withRules(rules) : axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])).analyze();
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)}: ${(node.failureSummary ?? "").split("\n").slice(1, 3).join(" ").trim()}`));
}

/** What a finger or a pointer can hit, with its size, where that is less than 44 pixels; links in the middle of a text are as high
 * as its lines. Runs in the page. */
export function findSmallTargets(): string[] {
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

/** What sticks out of the screen sideways. Runs in the page. */
export function findOverflows(): string[] {
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
