// Errors in the reader's words.
import { ConnectionLost, RefusalError } from "@yitang/sdk";
import { locale } from "../kit/i18n";
import { t } from "../kit/words";

/** A sentence for whatever went wrong. What is nobody's refusal and no lost connection is ours: it goes to the console. */
export function describeError(error: unknown): string {
  if (error instanceof RefusalError) return error.words(locale.value) || t("common.failed");
  if (error instanceof ConnectionLost) return t("common.unreachable");
  console.error(error);
  return t("common.failed");
}
