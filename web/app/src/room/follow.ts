// How a list follows its end: while one is there it stays there; a hand that moves away stops that, and what is
// measured late, or comes late, does not.
import { type Ref, onMounted, onUnmounted, ref } from "vue";

/** How long after a hand moved the list a step back counts as the hand's, ms. */
const HAND_MS = 1_500;
/** A step back so great is nobody's but a person's. */
const GREAT_STEP = 300;
const NEAR_END = 64;
const NEAR_START = 1_200;
/** A finger that moves less does not mean it, px. */
const FINGER_PX = 8;
/** A hand that has just pulled back is not at the end for being near it. */
const PULL_MS = 400;

export interface Follow {
  atEnd: Ref<boolean>;
  /** Handlers for the scrolling element. */
  handleScroll(): void;
  handleHand(event?: Event): void;
  handleGrab(event: PointerEvent): void;
}

export function useFollow(scroller: Ref<HTMLElement | null>, handlers: { moved(): void; nearStart(): void; resized(): void }): Follow {
  const atEnd = ref(true);
  let lastTop = 0;
  let handAt = 0;
  let handDown = false;
  let pulled: ((event: PointerEvent) => void) | undefined;

  let pulledAt = 0;
  let finger: { id: number; y: number } | undefined;

  /** In a flood the list runs on faster than a hand pulls it back: so the hand itself is asked, not only the place. */
  function handleHand(event?: Event): void {
    handAt = Date.now();
    const way = event ? findDirection(event) : 0;
    if (way > 0) pulledAt = 0;
    if (way >= 0 || (scroller.value?.scrollTop ?? 0) <= 0) return;
    pulledAt = handAt;
    atEnd.value = false;
  }
  /** Below 0: back towards the beginning. */
  function findDirection(event: Event): number {
    if (event instanceof WheelEvent) return event.deltaY;
    const touch = "touches" in event ? (event as TouchEvent).touches[0] : undefined;
    if (!touch) return 0;
    if (finger?.id !== touch.identifier) finger = { id: touch.identifier, y: touch.clientY };
    const moved = finger.y - touch.clientY;
    if (Math.abs(moved) < FINGER_PX) return 0;
    finger.y = touch.clientY;
    return moved;
  }
  function handleFingerUp(): void {
    finger = undefined;
  }
  /** A hand that holds the scrollbar, or pulls; one that only presses a button in a row moves nothing. */
  function handleGrab(event: PointerEvent): void {
    handDown = event.target === scroller.value;
    const { clientX, clientY } = event;
    pulled = ({ clientX: x, clientY: y }) => {
      if (Math.hypot(x - clientX, y - clientY) > FINGER_PX) handDown = true;
    };
    addEventListener("pointermove", pulled, { passive: true });
  }
  function handleRelease(): void {
    if (pulled) removeEventListener("pointermove", pulled);
    pulled = undefined;
    if (handDown) handleHand();
    handDown = false;
  }
  function handleScroll(): void {
    const element = scroller.value;
    if (!element) return;
    const { scrollTop, scrollHeight, clientHeight } = element;
    const back = lastTop - scrollTop;
    lastTop = scrollTop;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) {
      // Who left comes back by going there; what is measured late moves the list only backwards.
      if (back < 0 && Date.now() - pulledAt > PULL_MS) atEnd.value = true;
    } else if (back > 1 && (handDown || Date.now() - handAt < HAND_MS || back > GREAT_STEP)) atEnd.value = false;
    handlers.moved();
    if (scrollTop < NEAR_START) handlers.nearStart();
  }

  const LIFTS = ["pointerup", "pointercancel"];
  const FINGERS = ["touchend", "touchcancel"];
  const sizes = typeof ResizeObserver === "undefined" ? undefined : new ResizeObserver(() => handlers.resized());
  onMounted(() => {
    if (scroller.value) sizes?.observe(scroller.value);
    document.addEventListener("visibilitychange", handleScroll);
    for (const event of LIFTS) addEventListener(event, handleRelease);
    for (const event of FINGERS) addEventListener(event, handleFingerUp, { passive: true });
  });
  onUnmounted(() => {
    sizes?.disconnect();
    if (pulled) removeEventListener("pointermove", pulled);
    document.removeEventListener("visibilitychange", handleScroll);
    for (const event of LIFTS) removeEventListener(event, handleRelease);
    for (const event of FINGERS) removeEventListener(event, handleFingerUp);
  });
  return { atEnd, handleScroll, handleHand, handleGrab };
}
