// What keeps an unattended page alive: the screen stays lit, a page that has gone wrong is loaded anew, a new version is
// taken up in a quiet moment, and every night the page starts fresh. It never loads what cannot be had.

const LOOK_MS = 10_000;
/** Without a connection for longer, though the service answers, this page is at fault, ms. */
const LOST_MS = 3 * 60_000;
/** Errors in a row of looks that no page that works has. */
const ERRORS_MOST = 20;
const VERSION_MS = 5 * 60_000;
const NIGHT_HOUR = 4;
const LEAST_AGE_MS = 2 * 3_600_000;

export interface Health {
  isOnline: boolean;
  /** Nothing has changed on the screen for a while. */
  isQuiet: boolean;
}

type Sentinel = { released: boolean };
type Lockable = { wakeLock?: { request(kind: "screen"): Promise<Sentinel> } };

/** The script that a page's text loads: its name holds the hash of the version. Pure. */
export function findScript(html: string): string {
  return /<script[^>]+src="([^"]+)"/.exec(html)?.[1] ?? "";
}

/** Whether it is the hour to start fresh. Pure. */
export function isNight(nowMs: number, startedMs: number): boolean {
  return nowMs - startedMs > LEAST_AGE_MS && new Date(nowMs).getHours() === NIGHT_HOUR;
}

/** Watches until what it returns is called. */
export function useKeepAlive(standing: () => Health): () => void {
  const startedMs = Date.now();
  let lostSince = 0;
  let errors = 0;
  let versionAt = performance.now();
  let lock: Sentinel | undefined;

  async function fetchPage(): Promise<string> {
    const answer = await fetch("/", { cache: "no-store", headers: { accept: "text/html" } });
    return answer.ok ? answer.text() : "";
  }
  /** Only where the page can be had: a screen never shows a browser's error. */
  async function reloadIf(needed: (html: string) => boolean): Promise<void> {
    try {
      const html = await fetchPage();
      if (html !== "" && needed(html)) location.reload();
    } catch {
      // Not now, then.
    }
  }
  async function keepLit(): Promise<void> {
    const { wakeLock } = navigator as unknown as Lockable;
    if (!wakeLock || document.visibilityState !== "visible" || (lock && !lock.released)) return;
    lock = await wakeLock.request("screen").catch(() => undefined);
  }

  function check(): void {
    const { isOnline, isQuiet } = standing();
    const now = performance.now();
    lostSince = isOnline ? 0 : lostSince || now;
    void keepLit();
    if ((lostSince > 0 && now - lostSince > LOST_MS) || errors > ERRORS_MOST) {
      lostSince = now;
      errors = 0;
      return void reloadIf(() => true);
    }
    if (!isQuiet) return;
    if (isNight(Date.now(), startedMs)) return void reloadIf(() => true);
    if (now - versionAt > VERSION_MS) {
      versionAt = now;
      const mine = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute("src") ?? "";
      void reloadIf((html) => findScript(html) !== "" && findScript(html) !== mine);
    }
  }

  const failed = () => (errors += 1);
  addEventListener("error", failed);
  addEventListener("unhandledrejection", failed);
  document.addEventListener("visibilitychange", keepLit);
  const timer = setInterval(check, LOOK_MS);
  void keepLit();
  return () => {
    clearInterval(timer);
    removeEventListener("error", failed);
    removeEventListener("unhandledrejection", failed);
    document.removeEventListener("visibilitychange", keepLit);
  };
}
