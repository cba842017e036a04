import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Client, IndexedDbStore, MemoryStore, Outbox, type OutboxStore, type Outgoing, SafeStore } from "../src/index.js";
import { FileStore } from "../src/node/index.js";
import { FakeService, ROOM } from "./fake.js";

const post = (clientId: string, person = 7): Outgoing => ({
  ...new Outbox().add({ clientId, person, conversation: ROOM, createdMs: 1, content: { case: "comment", text: clientId, replyTo: 0 } }),
});
const ids = async (store: OutboxStore, person = 7) => (await store.load(person)).map(({ clientId }) => clientId).sort();

/** A disk that can be broken. */
class Fragile extends MemoryStore implements OutboxStore {
  override readonly durable = true;
  fails: undefined | "full" | "mute";
  #ask<T>(act: () => Promise<T>): Promise<T> {
    if (this.fails === "full") return Promise.reject(new DOMException("full", "QuotaExceededError"));
    return this.fails === "mute" ? new Promise(() => undefined) : act();
  }
  override load(person: number) {
    return this.#ask(() => super.load(person));
  }
  override put(kept: Outgoing) {
    return this.#ask(() => super.put(kept));
  }
  override remove(clientId: string) {
    return this.#ask(() => super.remove(clientId));
  }
}

let folder: string | undefined;
afterEach(async () => {
  vi.useRealTimers();
  if (folder) await rm(folder, { recursive: true });
  folder = undefined;
});

describe("a disk that fails", () => {
  it.each(["full", "mute"] as const)("%s: posts stay in memory, it is said, and they are written when it works again", async (how) => {
    const disk = new Fragile();
    const store = new SafeStore(disk, 20, 30);
    const told: boolean[] = [];
    store.changed.on(() => told.push(store.durable));
    await store.put(post("before"));
    disk.fails = how;
    await store.put(post("during"));
    await store.remove("before");
    expect(store.durable).toBe(false);
    expect(await ids(store)).toEqual(["during"]);
    disk.fails = undefined;
    await vi.waitFor(async () => expect(await ids(disk)).toEqual(["during"]));
    expect(store.durable).toBe(true);
    expect(told).toEqual([false, true]);
  });

  it("a database deleted under the page is made anew, with what is unsent", async () => {
    const factory = new IDBFactory();
    const store = new SafeStore(new IndexedDbStore(factory));
    await store.put(post("1"));
    await new Promise((resolve, reject) => {
      const request = factory.deleteDatabase("yitang-outbox");
      request.onsuccess = resolve;
      request.onerror = reject;
    });
    await store.put(post("2"));
    expect(await ids(store)).toEqual(["1", "2"]);
    expect(store.durable).toBe(true);
  });

  it("a browser that forbids it leaves a client that works, and knows what leaving would lose", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
    const forbids = { open: () => { throw new DOMException("no", "SecurityError"); } } as unknown as IDBFactory;
    const service = new FakeService();
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new SafeStore(new IndexedDbStore(forbids)), random: () => 0 });
    await client.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(client.durable).toBe(false);
    await client.post(ROOM, { case: "comment", text: "同意", replyTo: 0 });
    await vi.advanceTimersByTimeAsync(100);
    expect(service.log).toHaveLength(1);
    expect(client.outbox.unsent).toBe(0);
    await client.stop();
  });

  it("a disk that comes back brings what an earlier page left there", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
    const disk = new Fragile();
    await disk.put(post("left behind"));
    disk.fails = "full";
    const service = new FakeService();
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new SafeStore(disk), random: () => 0 });
    await client.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(service.log).toHaveLength(0);
    disk.fails = undefined;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(service.receipts.has("left behind")).toBe(true);
    expect(await ids(disk)).toEqual([]);
    await client.stop();
  });
});

describe("a store of the program's own", () => {
  it("that fails is as a disk that fails: the client goes on, says so, and nothing is left uncaught", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
    const disk = new Fragile();
    disk.fails = "full";
    const service = new FakeService();
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: disk, random: () => 0 });
    let told = 0;
    client.outboxChanged.on(() => (told += 1));
    await client.start();
    await vi.advanceTimersByTimeAsync(100);
    expect([client.connection.phase, client.durable]).toEqual(["online", false]);
    expect(told).toBeGreaterThan(0);
    await client.post(ROOM, { case: "comment", text: "同意", replyTo: 0 });
    await vi.advanceTimersByTimeAsync(100);
    expect(service.log).toHaveLength(1);
    disk.fails = undefined;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(client.durable).toBe(true);
    expect(await ids(disk)).toEqual([]);
    await client.stop();
  });
});

describe("a folder of files", () => {
  it("keeps each person's posts over a restart, and forgets what is removed", async () => {
    folder = await mkdtemp(join(tmpdir(), "outbox-"));
    const inner = join(folder, "made", "when", "needed");
    const store = new FileStore(inner);
    expect(store.durable).toBe(true);
    await Promise.all([store.put(post("a")), store.put({ ...post("a"), state: "refused" }), store.put(post("b")), store.put(post("c", 8))]);
    const again = new FileStore(inner);
    expect(await ids(again)).toEqual(["a", "b"]);
    expect((await again.load(7)).find(({ clientId }) => clientId === "a")?.state).toBe("refused");
    await Promise.all([again.put(post("b")), again.remove("b")]);
    expect(await ids(again)).toEqual(["a"]);
    expect((await readdir(inner)).sort()).toEqual(["a.json", "c.json"]);
  });

  it("half a file, left by a dead battery, is not a post", async () => {
    folder = await mkdtemp(join(tmpdir(), "outbox-"));
    await writeFile(join(folder, "x.json.new"), '{"clientId":"x"');
    const store = new FileStore(folder);
    expect(await ids(store)).toEqual([]);
    await expect(store.put(post("../out"))).rejects.toThrow(RangeError);
  });
});
