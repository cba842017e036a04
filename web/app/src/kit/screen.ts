// How much room there is: what is not shown is not made.
import { onUnmounted, ref } from "vue";

/** Two panes, and three. The same widths stand in the room's style. */
const WIDE = "(min-width: 64rem)";
const VERY_WIDE = "(min-width: 90rem)";

function useMedia(query: string) {
  const media = matchMedia(query);
  const holds = ref(media.matches);
  const update = () => (holds.value = media.matches);
  media.addEventListener("change", update);
  onUnmounted(() => media.removeEventListener("change", update));
  return holds;
}

export function useWide() {
  return { isWide: useMedia(WIDE), isVeryWide: useMedia(VERY_WIDE) };
}
