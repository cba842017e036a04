import { type MessageContext, type MessageFunction, createI18n } from "vue-i18n";
import zh from "./zh-CN";

export type Locale = "zh-CN" | "en";
export const LOCALES: { id: Locale; name: string }[] = [
  { id: "zh-CN", name: "中文" },
  { id: "en", name: "English" },
];

type Words = { [key: string]: string | Words };
type Messages = { [key: string]: MessageFunction<string> | Messages };
type Catalogue = typeof zh;

/** Texts as functions of their values: the page carries no compiler of messages. */
function readied(words: Words): Messages {
  const made: Messages = {};
  for (const [key, value] of Object.entries(words)) {
    made[key] =
      typeof value === "string"
        ? (context: MessageContext<string>) => value.replace(/\{(\w+)\}/g, (_, name: string) => String(context.named(name) ?? ""))
        : readied(value);
  }
  return made;
}

export const i18n = createI18n({
  legacy: false,
  locale: "zh-CN" as Locale,
  fallbackLocale: "zh-CN",
  messages: { "zh-CN": readied(zh) } as unknown as Record<Locale, Catalogue>,
});

const catalogues: Record<Locale, () => Promise<Words>> = {
  "zh-CN": () => Promise.resolve(zh),
  // Most never need it: it comes when it is asked for.
  en: () => import("./en").then((words) => words.default),
};
const loaded = new Set<Locale>(["zh-CN"]);

/** Speaks this language from now on, once its words are here. */
export async function speak(locale: Locale): Promise<void> {
  if (!loaded.has(locale)) {
    i18n.global.setLocaleMessage(locale, readied(await catalogues[locale]()) as unknown as Catalogue);
    loaded.add(locale);
  }
  i18n.global.locale.value = locale;
}
