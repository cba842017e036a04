// The name of the page for the browser: its tab, its history, the header of what it prints, the name of a PDF.
import { onUnmounted, ref, watch } from "vue";

/** What is shown, before the name of the service; empty: the service alone. */
export const shownTitle = ref("");

/** For as long as the component lives. */
export function useTitle(title: () => string | undefined): void {
  const stop = watch(title, (now) => (shownTitle.value = now ?? ""), { immediate: true });
  onUnmounted(() => {
    stop();
    if (shownTitle.value === (title() ?? "")) shownTitle.value = "";
  });
}
