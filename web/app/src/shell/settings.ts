// What this person chose for this device: language, size of text, light or dark.
import { reactive, watch } from "vue";
import { type Locale, locale } from "../kit/i18n";
import { LOCALES } from "../kit/words";

export type Size = "normal" | "large" | "huge";
export type Theme = "system" | "light" | "dark" | "contrast";
export const SIZES: Size[] = ["normal", "large", "huge"];
export const THEMES: Theme[] = ["system", "light", "dark", "contrast"];

const KEY = "yitang-settings";
const dark = matchMedia("(prefers-color-scheme: dark)");
const contrast = matchMedia("(prefers-contrast: more)");

interface Settings {
  locale: Locale;
  size: Size;
  theme: Theme;
}

/** What was kept, as far as it still means something. */
function stored(): Partial<Settings> {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    const known: Partial<Settings> = {};
    if (LOCALES.some(({ id }) => id === kept.locale)) known.locale = kept.locale as Locale;
    if (SIZES.includes(kept.size as Size)) known.size = kept.size as Size;
    if (THEMES.includes(kept.theme as Theme)) known.theme = kept.theme as Theme;
    return known;
  } catch {
    return {};
  }
}

function firstLocale(): Locale {
  const wanted = navigator.languages.find((language) => LOCALES.some(({ id }) => id.slice(0, 2) === language.slice(0, 2)));
  return wanted?.startsWith("en") ? "en" : "zh-CN";
}

export const settings = reactive<Settings>({ locale: firstLocale(), size: "normal", theme: "system", ...stored() });

function themeNow(): "light" | "dark" | "contrast" {
  if (settings.theme !== "system") return settings.theme;
  if (contrast.matches && !dark.matches) return "contrast";
  return dark.matches ? "dark" : "light";
}

function show(): void {
  const root = document.documentElement;
  locale.value = settings.locale;
  root.lang = settings.locale;
  root.dataset["size"] = settings.size;
  root.dataset["theme"] = themeNow();
  // The bar of the browser or of the installed page has the colour of the paper.
  const paper = getComputedStyle(root).getPropertyValue("--card").trim();
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) if (paper) meta.content = paper;
}

/** Shows the settings now and whenever they change. */
export function applySettings(): void {
  show();
  for (const query of [dark, contrast]) query.addEventListener("change", show);
  watch(settings, () => {
    show();
    try {
      localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
      // A private window: kept for as long as the page.
    }
  });
}
