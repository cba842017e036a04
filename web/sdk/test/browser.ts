// A browser with tabs, in memory: Web Locks and a BroadcastChannel, tabs that crash and tabs that are frozen.
import type { TabChannel, Tabs } from "../src/index.js";

interface Wish {
  tab: FakeTab;
  grant: () => void;
  fail: (error: Error) => void;
}

function abort(): Error {
  return Object.assign(new Error("aborted"), { name: "AbortError" });
}

export class FakeBrowser {
  readonly held = new Map<string, Wish>();
  readonly wishes = new Map<string, Wish[]>();
  readonly tabs = new Set<FakeTab>();

  open(): FakeTab {
    const tab = new FakeTab(this);
    this.tabs.add(tab);
    return tab;
  }

  /** Gives a free lock to who has waited longest. */
  next(name: string): void {
    if (this.held.has(name)) return;
    const wish = this.wishes.get(name)?.shift();
    if (!wish) return;
    this.held.set(name, wish);
    wish.grant();
  }
}

export class FakeTab implements Tabs {
  readonly events = new EventTarget();
  readonly channels = new Set<FakeChannel>();
  isFrozen = false;
  isGone = false;
  /** What a frozen tab will do when it thaws. */
  readonly #later: (() => void)[] = [];

  constructor(private readonly browser: FakeBrowser) {}

  readonly locks = {
    request: (name: string, ...rest: unknown[]) => this.#request(name, rest),
  } as unknown as LockManager;

  channel(name: string): TabChannel {
    return new FakeChannel(name, this, this.browser);
  }

  /** Does it now, or when the tab is no longer frozen. */
  run(act: () => void): void {
    if (this.isGone) return;
    if (this.isFrozen) this.#later.push(act);
    else act();
  }

  /** The process is gone: the browser lets go of what it held. */
  crash(): void {
    this.isGone = true;
    this.channels.clear();
    this.browser.tabs.delete(this);
    for (const [name, wishes] of this.browser.wishes) this.browser.wishes.set(name, wishes.filter((wish) => wish.tab !== this));
    for (const [name, wish] of [...this.browser.held]) {
      if (wish.tab !== this) continue;
      this.browser.held.delete(name);
      this.browser.next(name);
    }
  }

  thaw(): void {
    this.isFrozen = false;
    for (const act of this.#later.splice(0)) act();
  }

  #request(name: string, rest: unknown[]): Promise<unknown> {
    const callback = rest.at(-1) as () => Promise<unknown>;
    const options = (rest.length > 1 ? rest[0] : {}) as LockOptions;
    return new Promise((resolve, reject) => {
      const wish: Wish = {
        tab: this,
        fail: (error) => this.run(() => reject(error)),
        grant: () =>
          this.run(() => {
            void Promise.resolve(callback()).then((value) => {
              if (this.browser.held.get(name) === wish) {
                this.browser.held.delete(name);
                this.browser.next(name);
              }
              resolve(value);
            });
          }),
      };
      if (options.steal) {
        const robbed = this.browser.held.get(name);
        this.browser.held.set(name, wish);
        robbed?.fail(abort());
        wish.grant();
        return;
      }
      options.signal?.addEventListener("abort", () => {
        const wishes = this.browser.wishes.get(name) ?? [];
        if (!wishes.includes(wish)) return;
        this.browser.wishes.set(name, wishes.filter((other) => other !== wish));
        reject(abort());
      });
      this.browser.wishes.set(name, [...(this.browser.wishes.get(name) ?? []), wish]);
      setTimeout(() => this.browser.next(name), 1);
    });
  }
}

class FakeChannel implements TabChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(
    private readonly name: string,
    private readonly tab: FakeTab,
    private readonly browser: FakeBrowser,
  ) {
    tab.channels.add(this);
  }
  postMessage(message: unknown): void {
    const data = structuredClone(message);
    // What runs on in a frozen tab here, does not run in a browser: it is said when the tab thaws.
    this.tab.run(() => this.#send(data));
  }
  #send(data: unknown): void {
    for (const tab of this.browser.tabs) {
      for (const channel of tab.channels) {
        if (channel === this || channel.name !== this.name) continue;
        setTimeout(() => tab.run(() => channel.onmessage?.({ data: structuredClone(data) })), 1);
      }
    }
  }
  close(): void {
    this.tab.channels.delete(this);
  }
}
