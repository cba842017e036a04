// What this person chose for this device: language, size of text, light or dark.
import { reactive, watch } from "vue";
import { type Locale, LOCALES, i18n } from "../words";

export type Size = "normal" | "large" | "huge";
export type Theme = "system" | "light" | "dark";

const KEY = "yitang-settings";
const dark = matchMedia("(prefers-color-scheme: dark)");

interface Settings {
  locale: Locale;
  size: Size;
  theme: Theme;
}

function stored(): Partial<Settings> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
  } catch {
    return {};
  }
}

function firstLocale(): Locale {
  const wanted = navigator.languages.find((language) => LOCALES.some(({ id }) => id.slice(0, 2) === language.slice(0, 2)));
  return wanted?.startsWith("en") ? "en" : "zh-CN";
}

export const settings = reactive<Settings>({ locale: firstLocale(), size: "normal", theme: "system", ...stored() });

function show(): void {
  const root = document.documentElement;
  root.lang = settings.locale;
  root.dataset["size"] = settings.size;
  root.dataset["theme"] = settings.theme === "system" ? (dark.matches ? "dark" : "light") : settings.theme;
  i18n.global.locale.value = settings.locale;
}

export function useSettings(): void {
  show();
  dark.addEventListener("change", show);
  watch(settings, () => {
    show();
    try {
      localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
      // A private window: kept for as long as the page.
    }
  });
}
