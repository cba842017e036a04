import { createI18n } from "vue-i18n";
import en from "./en";
import zh from "./zh-CN";

export type Locale = "zh-CN" | "en";
export const LOCALES: { id: Locale; name: string }[] = [
  { id: "zh-CN", name: "中文" },
  { id: "en", name: "English" },
];

export const i18n = createI18n({
  legacy: false,
  locale: "zh-CN",
  fallbackLocale: "zh-CN",
  messages: { "zh-CN": zh, en },
});
