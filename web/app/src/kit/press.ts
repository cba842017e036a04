// A press on a list whose rows move. From when the finger goes down until its click the list is held still, and the click
// does what the finger went down on, whatever row stands there by then.
import { onUnmounted } from "vue";

/** What can be pressed in a row: a button's `data-act`, in an element with `data-seq`. */
export interface Target {
  seq: number;
  act: string;
}

/** A finger that slid farther away does not mean it, px. */
const SLIDE_PX = 24;
/** The click comes so soon after the finger is lifted, if it comes. */
const CLICK_MS = 350;
/** A finger that rests, or a scrollbar that is held, does not hold a flood for ever. */
const HOLD_MOST_MS = 2_500;

export function findTarget(element: EventTarget | null): Target | undefined {
  const button = element instanceof Element ? element.closest<HTMLElement>("[data-act]") : null;
  const seq = Number(button?.closest<HTMLElement>("[data-seq]")?.dataset["seq"] ?? 0);
  return button && seq > 0 ? { seq, act: button.dataset["act"] ?? "" } : undefined;
}

/** A finger that begins to pull the list is heard of by who follows its end, before rows come again. */
const PULL_MS = 150;

export function usePress(handlers: { held(now: boolean): void; act(target: Target): void }) {
  let down: { x: number; y: number; target: Target | undefined; isLifted: boolean } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isHeld = false;

  function hold(now: boolean): void {
    clearTimeout(timer);
    if (isHeld === now) return;
    isHeld = now;
    handlers.held(now);
  }
  function after(ms: number, act: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(act, ms);
  }
  function stopListening(): void {
    removeEventListener("pointerup", handleUp);
    removeEventListener("pointercancel", handleCancel);
  }
  function over(): void {
    down = undefined;
    hold(false);
  }
  function handleUp(event: PointerEvent): void {
    stopListening();
    if (!down) return;
    if (Math.hypot(event.clientX - down.x, event.clientY - down.y) > SLIDE_PX) return over();
    down.isLifted = true;
    after(CLICK_MS, over);
  }
  function handleCancel(): void {
    stopListening();
    down = undefined;
    after(PULL_MS, over);
  }

  function handlePress(event: PointerEvent): void {
    if (!event.isPrimary || event.button > 0) return;
    down = { x: event.clientX, y: event.clientY, target: findTarget(event.target), isLifted: false };
    addEventListener("pointerup", handleUp);
    addEventListener("pointercancel", handleCancel);
    hold(true);
    after(HOLD_MOST_MS, () => hold(false));
  }
  function handleClick(event: MouseEvent): void {
    // A click of a keyboard or of a screen reader has no finger before it; a scrollbar's is never lifted.
    const isFingers = down?.isLifted && event.detail > 0;
    const target = isFingers ? down?.target : findTarget(event.target);
    over();
    if (target) handlers.act(target);
  }

  onUnmounted(() => {
    clearTimeout(timer);
    stopListening();
  });
  return { handlePress, handleClick };
}
