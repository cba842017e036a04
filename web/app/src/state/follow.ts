// How a list follows its end: while one is there it stays there; a hand that moves away stops that, and what is
// measured late, or comes late, does not.
import { type Ref, onMounted, onUnmounted, ref } from "vue";

/** So long after a hand moved the list, a step back counts as the hand's. */
const HAND_MS = 1_500;
/** A step back so great is nobody's but a person's. */
const GREAT_STEP = 300;
const NEAR_END = 64;
const NEAR_START = 1_200;

export interface Follow {
  atEnd: Ref<boolean>;
  /** Handlers for the scrolling element. */
  scrolled(): void;
  hand(): void;
  pressed(): void;
}

export function useFollow(scroller: Ref<HTMLElement | null>, told: { moved(): void; nearStart(): void; resized(): void }): Follow {
  const atEnd = ref(true);
  let lastTop = 0;
  let handAt = 0;
  let handDown = false;

  function hand(): void {
    handAt = Date.now();
  }
  function pressed(): void {
    handDown = true;
  }
  function lifted(): void {
    if (handDown) hand();
    handDown = false;
  }
  function scrolled(): void {
    const element = scroller.value;
    if (!element) return;
    const { scrollTop, scrollHeight, clientHeight } = element;
    const back = lastTop - scrollTop;
    lastTop = scrollTop;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) atEnd.value = true;
    else if (back > 1 && (handDown || Date.now() - handAt < HAND_MS || back > GREAT_STEP)) atEnd.value = false;
    told.moved();
    if (scrollTop < NEAR_START) told.nearStart();
  }

  const LIFTS = ["pointerup", "pointercancel"];
  const sizes = typeof ResizeObserver === "undefined" ? undefined : new ResizeObserver(() => told.resized());
  onMounted(() => {
    if (scroller.value) sizes?.observe(scroller.value);
    document.addEventListener("visibilitychange", scrolled);
    for (const event of LIFTS) addEventListener(event, lifted);
  });
  onUnmounted(() => {
    sizes?.disconnect();
    document.removeEventListener("visibilitychange", scrolled);
    for (const event of LIFTS) removeEventListener(event, lifted);
  });
  return { atEnd, scrolled, hand, pressed };
}
