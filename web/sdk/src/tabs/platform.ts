// What sharing needs of a browser, so that tests can stand in for one.

export interface TabChannel {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** What of the browser is needed. */
export interface Tabs {
  readonly locks: Pick<LockManager, "request">;
  channel(name: string): TabChannel;
  /** Tells of `pagehide`, `pageshow`, `freeze` and `resume`. */
  readonly events: Pick<EventTarget, "addEventListener" | "removeEventListener">;
}

/** Undefined where a browser cannot share (Safari before 15.4, some webviews, pages over plain HTTP): a socket each. */
export function browserTabs(): Tabs | undefined {
  if (typeof document === "undefined" || typeof BroadcastChannel === "undefined") return undefined;
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return undefined;
  // `freeze` and `resume` are told to the document; the others to the window, whither the document's do not bubble.
  const events = new EventTarget();
  for (const name of ["pagehide", "pageshow"]) addEventListener(name, () => events.dispatchEvent(new Event(name)));
  for (const name of ["freeze", "resume"]) document.addEventListener(name, () => events.dispatchEvent(new Event(name)));
  return { locks, channel: (name) => new BroadcastChannel(name) as TabChannel, events };
}
