// What a screen reader says of a room: each event while they are few, a number while they are many.
import { onUnmounted, ref, watch } from "vue";
import { formatNumber } from "../kit/format";
import { distinctText } from "../kit/text";
import { rowKindOf } from "./parts";
import { type Row, isEventRow } from "./rows";
import { t } from "./words";

const EVERY_MS = 4_000;

/** `rows`: those shown now. Says nothing of what stood there before, or of one's own. */
export function useAnnouncements(rows: () => Row[], me: () => number) {
  const announced = ref("");
  let lastSeq = -1;
  // What stands there when the list first comes is old; whatever comes after it is lastSeq, however soon.
  watch(rows, (shown) => {
    if (lastSeq >= 0) return;
    for (const row of shown) if (isEventRow(row)) lastSeq = Math.max(lastSeq, row.seq);
  }, { immediate: true });
  const timer = setInterval(() => {
    const shown = rows();
    let newest = lastSeq;
    let count = 0;
    let last = "";
    for (let index = shown.length - 1; index >= 0; index -= 1) {
      const row = shown[index];
      if (!isEventRow(row)) continue;
      if (row.seq <= lastSeq) break;
      newest = Math.max(newest, row.seq);
      if (lastSeq < 0) break;
      const announce = rowKindOf(row.entry.kind.case)?.announce;
      if (row.entry.author === me() || !announce) continue;
      count += 1;
      last = announce(row.entry);
    }
    lastSeq = Math.max(newest, 0);
    if (count === 0) return;
    const words = count === 1 ? last : t("room.announcedMany", { n: formatNumber(count) });
    announced.value = distinctText(announced.value, words);
  }, EVERY_MS);
  onUnmounted(() => clearInterval(timer));
  return announced;
}
