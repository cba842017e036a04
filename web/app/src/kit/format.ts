// Times and numbers in the reader's language.
import { locale } from "./i18n";
import { t } from "./words";

const FORMS = {
  clock: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { month: "long", day: "numeric", weekday: "long" },
  date: { month: "long", day: "numeric" },
  year: { year: "numeric", month: "long", day: "numeric" },
  long: { year: "numeric", month: "long", day: "numeric", weekday: "long" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;
/** Making a formatter is slow, a row is drawn often. */
const made = new Map<string, Intl.DateTimeFormat>();

function format(form: keyof typeof FORMS, ms: number): string {
  const key = `${locale.value} ${form}`;
  let formatter = made.get(key);
  if (!formatter) made.set(key, (formatter = new Intl.DateTimeFormat(locale.value, FORMS[form])));
  return formatter.format(ms);
}

function startOfDay(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}
const sameYear = (a: number, b: number) => new Date(a).getFullYear() === new Date(b).getFullYear();

/** The clock time alone. */
export function formatTime(ms: number): string {
  return format("clock", ms);
}

/** 14:05 today, else with the day. */
export function formatMoment(ms: number, nowMs: number): string {
  if (startOfDay(ms) === startOfDay(nowMs)) return formatTime(ms);
  return `${format(sameYear(ms, nowMs) ? "date" : "year", ms)} ${formatTime(ms)}`;
}

/** Today, yesterday, or the day by its name. */
export function formatDay(ms: number, nowMs: number): string {
  const days = Math.round((startOfDay(nowMs) - startOfDay(ms)) / 86_400_000);
  if (days === 0) return t("time.today");
  if (days === 1) return t("time.yesterday");
  if (days === -1) return t("time.tomorrow");
  return format(sameYear(ms, nowMs) ? "day" : "long", ms);
}

/** A day in full, for a heading. */
export function formatFullDay(ms: number): string {
  return format("long", ms);
}

export function formatNumber(value: number): string {
  return value.toLocaleString(locale.value);
}

/** A time for an input of type datetime-local, and back. */
export function toLocalInput(ms: number): string {
  if (ms === 0) return "";
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 16);
}
export function fromLocalInput(text: string): number {
  return text === "" ? 0 : new Date(text).getTime();
}
