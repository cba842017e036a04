// Errors and times in the reader's words.
import { ConnectionLost, RefusalError } from "@yitang/sdk";
import { i18n } from "../words";
import { settings } from "./settings";

const { t } = i18n.global;

/** A sentence for whatever went wrong. */
export function say(error: unknown): string {
  if (error instanceof RefusalError) return error.words(settings.locale) || t("common.failed");
  if (error instanceof ConnectionLost) return t("common.unreachable");
  console.error(error);
  return t("common.failed");
}

function sameDay(a: Date, b: Date): boolean {
  return a.toDateString() === b.toDateString();
}

/** 14:05 today, else with the day. */
export function moment(ms: number, nowMs: number): string {
  const date = new Date(ms);
  const now = new Date(nowMs);
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (sameDay(date, now)) return date.toLocaleTimeString(settings.locale, time);
  const day: Intl.DateTimeFormatOptions = { month: "long", day: "numeric" };
  if (date.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return date.toLocaleString(settings.locale, { ...day, ...time });
}

/** The clock time alone. */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString(settings.locale, { hour: "2-digit", minute: "2-digit", hour12: false });
}

export function number(value: number): string {
  return value.toLocaleString(settings.locale);
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
