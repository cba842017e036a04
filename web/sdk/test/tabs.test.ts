import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Client, MemoryStore, Outbox, type Room } from "../src/index.js";
import { SharedRequests } from "../src/tabs/shared_requests.js";
import { LeaderWatch } from "../src/tabs/leader_watch.js";
import { FakeBrowser, type FakeTab } from "./browser.js";
import { FakeService, ROOM } from "./fake.js";

const comment = (text: string) => ({ case: "comment" as const, text, replyTo: 0 });
const texts = (room: Room) => room.timeline.comments().map((entry) => (entry.kind.case === "comment" ? entry.kind.text : ""));
const settle = (ms = 200) => vi.advanceTimersByTimeAsync(ms);

interface Opened {
  tab: FakeTab;
  client: Client;
  room: Room;
  /** Its sockets, which die and fall silent with it. */
  sockets: Set<{ drop(code: number): void; isHeld: boolean }>;
}

class World {
  readonly service = new FakeService();
  readonly browser = new FakeBrowser();
  /** As IndexedDB: one for all tabs. */
  readonly store = new MemoryStore();
  readonly open = new Set<Opened>();

  async tab(): Promise<Opened> {
    const tab = this.browser.open();
    const sockets: Opened["sockets"] = new Set();
    const Socket = this.service.socketClass as unknown as new (url: string, protocols: string[]) => { drop(code: number): void; isHeld: boolean };
    const webSocket = class extends Socket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.add(this);
        // Frozen: it would not have been made, so nothing comes of it.
        this.isHeld = tab.isFrozen;
      }
    } as never;
    const client = new Client({ url: "http://hall.test", webSocket, fetch: this.service.fetch, store: this.store, tabs: tab, random: () => 0, answerMs: 3_000 });
    const room = client.enter(ROOM);
    const opened = { tab, client, room, sockets };
    this.open.add(opened);
    await client.start();
    await settle();
    return opened;
  }

  async crash(opened: Opened): Promise<void> {
    this.open.delete(opened);
    opened.tab.crash();
    for (const socket of opened.sockets) socket.drop(1006);
    // The process is gone, so nothing of it runs on; here its timers must be ended by hand.
    await opened.client.stop();
  }

  freeze(opened: Opened): void {
    opened.tab.isFrozen = true;
    for (const socket of opened.sockets) socket.isHeld = true;
  }

  thaw(opened: Opened): void {
    for (const socket of opened.sockets) socket.isHeld = false;
    opened.tab.thaw();
  }

  get log(): string[] {
    return this.service.log.map((event) => (event.kind.case === "comment" ? event.kind.value.text : ""));
  }
}

let world: World;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
  world = new World();
});
afterEach(async () => {
  await Promise.all([...world.open].map(({ client }) => client.stop()));
  vi.useRealTimers();
});

describe("tabs of one browser", () => {
  it("share one socket; what one says, all show once, and every room sees all in order", async () => {
    const tabs = [await world.tab(), await world.tab(), await world.tab()];
    expect(world.service.sockets.size).toBe(1);
    expect(tabs.map(({ client }) => client.connection.phase)).toEqual(["online", "online", "online"]);
    for (const [index, { client }] of tabs.entries()) await client.post(ROOM, comment(`from ${index}`));
    world.service.append(9, "from another");
    await settle();
    expect(world.log.slice().sort()).toEqual(["from 0", "from 1", "from 2", "from another"]);
    for (const { room, client } of tabs) {
      expect(texts(room)).toEqual(world.log);
      expect(client.outbox.list()).toEqual([]);
    }
    expect(await world.store.load(7)).toEqual([]);
  });

  it("a leader that is closed hands over at once, with what the others had not sent yet", async () => {
    const first = await world.tab();
    const second = await world.tab();
    const third = await world.tab();
    world.service.silent = true;
    await second.client.post(ROOM, comment("written before"));
    await settle(50);
    await world.crash(first);
    world.service.silent = false;
    world.service.append(9, "meanwhile");
    await third.client.post(ROOM, comment("written between"));
    await settle(1_000);
    expect(world.service.sockets.size).toBe(1);
    expect(world.log.slice().sort()).toEqual(["meanwhile", "written before", "written between"]);
    expect(texts(second.room)).toEqual(world.log);
    expect(texts(third.room)).toEqual(world.log);
  });

  it("a tab that is closed properly lets the next one lead without a wait", async () => {
    const first = await world.tab();
    const second = await world.tab();
    first.tab.events.dispatchEvent(new Event("pagehide"));
    await settle();
    expect(second.client.connection.phase).toBe("online");
    // Back from the browser's cache of pages, it follows.
    world.service.append(9, "while it was away");
    first.tab.events.dispatchEvent(new Event("pageshow"));
    await settle();
    expect(world.service.sockets.size).toBe(1);
    expect(first.client.connection.phase).toBe("online");
    expect(texts(first.room)).toEqual(["while it was away"]);
  });

  it("what has changed is told in every tab, and one that leads next tells it too", async () => {
    const first = await world.tab();
    const second = await world.tab();
    const told: string[] = [];
    for (const [name, { client }] of Object.entries({ first, second })) client.changes.on(({ changed }) => told.push(...changed.map(({ id }) => `${name} ${id}`)));
    const tell = (id: string) => world.service.tell({ case: "changes", value: { changed: [{ subject: "letters", id, version: 1n, gone: true }] } as never });
    tell("a");
    await settle();
    expect(told.sort()).toEqual(["first a", "second a"]);
    await world.crash(first);
    await settle(1_000);
    tell("b");
    await settle();
    expect(told.sort()).toEqual(["first a", "second a", "second b"]);
  });

  it("a frozen leader is replaced within seconds, and follows when it thaws", async () => {
    const first = await world.tab();
    const second = await world.tab();
    world.freeze(first);
    await second.client.post(ROOM, comment("to a leader that does not hear"));
    world.service.append(9, "missed by the frozen one");
    await settle(8_000);
    expect(world.log).toContain("to a leader that does not hear");
    expect(texts(second.room)).toEqual(world.log);
    world.thaw(first);
    await settle(1_000);
    expect(world.service.sockets.size).toBe(1);
    expect(texts(first.room)).toEqual(world.log);
    await first.client.post(ROOM, comment("awake"));
    await settle();
    expect(texts(second.room)).toEqual(world.log);
    expect(world.log.filter((text) => text === "awake")).toHaveLength(1);
  });

  it("a page that comes to the front finds a frozen leader in two seconds", async () => {
    const first = await world.tab();
    const second = await world.tab();
    world.freeze(first);
    second.client.wake();
    world.service.append(9, "unseen so far");
    await settle(2_000);
    expect(texts(second.room)).toEqual(["unseen so far"]);
  });

  it("sign-out in one tab is sign-out in all", async () => {
    const tabs = [await world.tab(), await world.tab(), await world.tab()];
    await tabs[1]?.client.signOut();
    await settle();
    expect(world.service.sockets.size).toBe(0);
    expect(tabs.map(({ client }) => client.connection.phase)).toEqual(["ended", "idle", "ended"]);
    await tabs[0]?.client.post(ROOM, comment("after the end"));
    await settle(60_000);
    expect(world.log).toEqual([]);
  });

  it("a session ended by the service is over in every tab", async () => {
    const tabs = [await world.tab(), await world.tab()];
    world.service.sessionEnded = true;
    world.service.breakLines(3500);
    await settle(1_000);
    expect(tabs.map(({ client }) => client.connection.phase)).toEqual(["ended", "ended"]);
  });

  it("what is thrown away in one tab is not sent by another", async () => {
    const first = await world.tab();
    const second = await world.tab();
    world.service.breakLines();
    const post = await second.client.post(ROOM, comment("better not"));
    await second.client.discard(post.clientId);
    await settle(3_000);
    expect(first.client.connection.phase).toBe("online");
    expect(world.log).toEqual([]);
    expect(first.client.outbox.list()).toEqual([]);
  });

  it("a conversation is let go when the last tab leaves it, a crashed one included", async () => {
    const first = await world.tab();
    const second = await world.tab();
    first.client.leave(first.room);
    await settle();
    expect(world.service.follows).toBe(true);
    await world.crash(second);
    await settle();
    expect(world.service.follows).toBe(false);
  });

  it("where locks are forbidden, each tab has a socket, and a post is still one", async () => {
    const forbidden = async () => {
      const opened = world.browser.open();
      const tabs = { ...opened, events: opened.events, channel: (name: string) => opened.channel(name), locks: { request: () => Promise.reject(new DOMException("no", "SecurityError")) } as never };
      const client = new Client({ url: "http://hall.test", webSocket: world.service.socketClass, fetch: world.service.fetch, store: world.store, tabs, random: () => 0 });
      const room = client.enter(ROOM);
      world.open.add({ tab: opened, client, room, sockets: new Set() });
      await client.start();
      return { client, room };
    };
    const first = await forbidden();
    const second = await forbidden();
    await settle();
    expect(world.service.sockets.size).toBe(2);
    await first.client.post(ROOM, comment("once"));
    await settle(1_000);
    expect(world.log).toEqual(["once"]);
    expect(texts(second.room)).toEqual(["once"]);
  });

  it("whatever tabs and lines do, every post is in the log once, and every tab shows the log", async () => {
    const happening = fc.array(fc.tuple(fc.constantFrom("post", "post", "other", "break", "open", "crash", "freeze", "thaw", "hide"), fc.nat(5)), { minLength: 5, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(happening, async (happened) => {
        world = new World();
        await world.tab();
        const frozen = new Set<Opened>();
        const posted: string[] = [];
        const by = new Map<Opened, string[]>();
        for (const [what, which] of happened) {
          const open = [...world.open];
          const one = open[which % open.length] as Opened;
          if (what === "post" && !frozen.has(one)) {
            posted.push(`p${posted.length}`);
            by.set(one, [...(by.get(one) ?? []), `p${posted.length - 1}`]);
            await one.client.post(ROOM, comment(`p${posted.length - 1}`));
          } else if (what === "other") world.service.append(9, "o");
          else if (what === "break") world.service.breakLines();
          else if (what === "open" && open.length < 4) await world.tab();
          else if (what === "crash" && open.length > 1 && !frozen.has(one)) await world.crash(one);
          else if (what === "freeze" && open.length - frozen.size > 1) {
            frozen.add(one);
            world.freeze(one);
          } else if (what === "thaw" && frozen.has(one)) {
            frozen.delete(one);
            world.thaw(one);
          } else if (what === "hide" && !frozen.has(one)) {
            one.tab.events.dispatchEvent(new Event("pagehide"));
            one.tab.events.dispatchEvent(new Event("pageshow"));
          }
          await settle(which * 40);
        }
        for (const one of frozen) world.thaw(one);
        for (let beat = 0; beat < 15; beat += 1) {
          world.service.tick();
          await settle(1_000);
        }
        expect(world.log.filter((text) => text.startsWith("p")).sort()).toEqual(posted.slice().sort());
        for (const said of by.values()) expect(world.log.filter((text) => said.includes(text))).toEqual(said);
        for (const { room, client } of world.open) {
          expect(client.connection.phase).toBe("online");
          expect(texts(room)).toEqual(world.log);
          expect(client.outbox.list()).toEqual([]);
        }
        expect(world.service.sockets.size).toBe(1);
        await Promise.all([...world.open].map(({ client }) => client.stop()));
        world.open.clear();
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

describe("the outbox of several tabs", () => {
  it("a tab that takes over sends what it finds on the disk in its place", async () => {
    const first = await world.tab();
    const second = await world.tab();
    world.service.silent = true;
    await second.client.post(ROOM, comment("1"));
    await settle(10);
    // Written down by a third tab, which had no time to tell of it.
    const { createdMs } = second.client.outbox.list()[0] ?? { createdMs: 0 };
    const untold = new Outbox().add({ clientId: "untold", person: 7, conversation: ROOM, createdMs: createdMs + 1, content: comment("2") });
    await world.store.put(untold);
    await world.crash(first);
    world.service.silent = false;
    await settle(1_000);
    expect(world.log).toEqual(["1", "2"]);
  });

  it("what another tab threw away or sent does not come back when the tab that wrote it takes over", async () => {
    const first = await world.tab();
    const second = await world.tab();
    await second.client.post(ROOM, comment("sent"));
    await settle();
    world.service.silent = true;
    const { clientId } = await second.client.post(ROOM, comment("thrown away"));
    await settle(10);
    await first.client.discard(clientId);
    await settle(10);
    await world.crash(first);
    const seen: string[] = [];
    second.client.outboxChanged.on(() => seen.push(...second.client.outbox.list().map(({ state }) => state)));
    world.service.silent = false;
    await settle(1_000);
    expect(second.client.connection.phase).toBe("online");
    expect(world.service.receipts.has(clientId)).toBe(false);
    expect(world.log).toEqual(["sent"]);
    expect(seen).toEqual([]);
  });

  it("a disk that is slow over one post keeps another tab from sending those after it first", async () => {
    await world.tab();
    const second = await world.tab();
    const put = world.store.put.bind(world.store);
    world.store.put = async (kept) => {
      world.store.put = put;
      await new Promise((resolve) => setTimeout(resolve, 500));
      await put(kept);
    };
    for (const text of ["1", "2"]) void second.client.post(ROOM, comment(text));
    await settle(1_000);
    expect(world.log).toEqual(["1", "2"]);
  });

  it("a tab that takes over and cannot read the disk goes on without it, and says so", async () => {
    const first = await world.tab();
    const second = await world.tab();
    await settle();
    world.store.load = () => Promise.reject(new DOMException("no", "InvalidStateError"));
    world.store.put = () => Promise.reject(new DOMException("no", "InvalidStateError"));
    let told = 0;
    second.client.outboxChanged.on(() => (told += 1));
    await world.crash(first);
    await settle(1_000);
    expect([second.client.connection.phase, second.client.durable]).toEqual(["online", false]);
    expect(told).toBeGreaterThan(0);
    await second.client.post(ROOM, comment("without a disk"));
    await settle();
    expect(world.log).toEqual(["without a disk"]);
  });

  it("what a tab that was deposed says it is sending, the one that leads sends itself", async () => {
    const { client } = await world.tab();
    const post = { ...new Outbox().add({ clientId: "of the one before", person: 7, conversation: ROOM, createdMs: 1, content: comment("once more") }), state: "sending" as const };
    const channel = world.browser.open().channel("yitang 1 http://hall.test 7");
    channel.postMessage({ t: "outbox", change: { put: post }, from: "the one before" });
    await settle();
    expect(world.log).toEqual(["once more"]);
    expect(client.outbox.list()).toEqual([]);
  });
});

describe("LeaderWatch", () => {
  it("a leader that answers is left alone, and one that does not is deposed", () => {
    const watch = new LeaderWatch(0);
    for (const at of [2_000, 4_000]) expect(watch.check(at)).toBe("ping");
    watch.handleMessage(4_100);
    for (const at of [6_000, 8_000]) expect(watch.check(at)).toBe("ping");
    expect(watch.check(10_000)).toBe("depose");
  });

  it("a tab that was itself held still gives the leader time to be heard", () => {
    const watch = new LeaderWatch(0);
    watch.check(2_000);
    expect(watch.check(600_000)).toBe("ping");
    expect(watch.check(602_000)).toBe("ping");
  });
});

describe("SharedRequests", () => {
  it("passes subscriptions on, and only the last one's end", async () => {
    const asked: string[] = [];
    const requests = new SharedRequests(
      async (frame) => {
        asked.push(frame.case as string);
        return { case: "pong", value: {} } as never;
      },
      () => undefined,
    );
    const about = { conversation: ROOM };
    await requests.request("a", { case: "subscribe", value: about });
    await requests.request("b", { case: "subscribe", value: about });
    expect(requests.hasOtherFollowers("a", ROOM)).toBe(true);
    expect(await requests.request("a", { case: "unsubscribe", value: about })).toMatchObject({ case: "unsubscribed" });
    expect(asked).toEqual(["subscribe", "subscribe"]);
    requests.removeTab("b");
    expect(asked).toEqual(["subscribe", "subscribe", "unsubscribe"]);
    expect(requests.hasOtherFollowers("a", ROOM)).toBe(false);
  });
});
