// What a screen reader says of a room: each comment while they are few, a number while they are many.
import { onUnmounted, ref, watch } from "vue";
import { i18n } from "../words";
import { nameOf } from "./people";
import type { Row } from "./rows";
import { number } from "./tell";
import { anew, startOf } from "./text";

const { t } = i18n.global;
const EVERY_MS = 4_000;
const WORDS_MOST = 200;

/** `rows`: those shown now. Says nothing of what stood there before, or of one's own. */
export function useHeard(rows: () => Row[], me: () => number) {
  const heard = ref("");
  let told = -1;
  // What stands there when the list first comes is old; whatever comes after it is told, however soon.
  watch(rows, (shown) => {
    if (told >= 0) return;
    for (const row of shown) if (row.kind === "comment") told = Math.max(told, row.seq);
  }, { immediate: true });
  const teller = setInterval(() => {
    const shown = rows();
    let newest = told;
    let count = 0;
    let last: { author: number; text: string } | undefined;
    for (let index = shown.length - 1; index >= 0; index -= 1) {
      const row = shown[index];
      if (row?.kind !== "comment") continue;
      if (row.seq <= told) break;
      newest = Math.max(newest, row.seq);
      if (told < 0) break;
      if (row.entry.author === me() || row.entry.kind.case !== "comment") continue;
      count += 1;
      last = { author: row.entry.author, text: row.entry.kind.text };
    }
    told = Math.max(newest, 0);
    if (count === 0 || !last) return;
    const words = count === 1 ? t("room.said", { name: nameOf(last.author), text: startOf(last.text, WORDS_MOST) }) : t("room.heard", { n: number(count) });
    heard.value = anew(heard.value, words);
  }, EVERY_MS);
  onUnmounted(() => clearInterval(teller));
  return heard;
}
