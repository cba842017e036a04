// What stands in the place of a comment that is not shown any more.
import { type Entry, Why } from "@yitang/sdk";
import { t } from "./words";

/** Empty where it stands. */
export function describeGone(entry: Entry): string {
  const gone = entry.kind.case === "comment" ? entry.kind.gone : undefined;
  if (!gone) return "";
  if (gone.why === Why.RECALLED) return t("room.recalled");
  return gone.reason ? t("room.hiddenWhy", { reason: gone.reason }) : t("room.hidden");
}
