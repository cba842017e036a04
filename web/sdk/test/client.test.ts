import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Client, MemoryStore, type OutboxStore, RefusalCode, type Room } from "../src/index.js";
import { ChangesSchema, Verdict } from "../src/gen/socket_pb.js";
import { FakeService, ROOM } from "./fake.js";

const comment = (text: string) => ({ case: "comment" as const, text, replyTo: 0 });
const texts = (room: Room) => room.timeline.comments().map((entry) => (entry.kind.case === "comment" ? entry.kind.text : ""));

let clients: Client[] = [];
async function connect(service: FakeService, store: OutboxStore = new MemoryStore(), subprotocols?: ("yitang.v1.json" | "yitang.v1.proto")[]) {
  const options = { url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store, random: () => 0, answerMs: 3_000 };
  const client = new Client(subprotocols ? { ...options, subprotocols } : options);
  clients.push(client);
  const room = client.enter(ROOM);
  await client.start();
  await settle();
  return { client, room };
}
const settle = (ms = 100) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] }));
afterEach(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  clients = [];
  vi.useRealTimers();
});

describe("Client", () => {
  it.each(["yitang.v1.proto", "yitang.v1.json"] as const)("posts, and sees what it posted, in %s", async (subprotocol) => {
    const service = new FakeService();
    for (let index = 1; index <= 120; index += 1) service.append(9, `old ${index}`);
    const { client, room } = await connect(service, undefined, [subprotocol]);
    expect(client.connection.phase).toBe("online");
    expect(texts(room)).toHaveLength(50);
    await client.post(ROOM, comment("同意"));
    await settle();
    expect(texts(room).at(-1)).toBe("同意");
    expect(client.outbox.list()).toEqual([]);
    while (!room.follower.completeBefore) {
      void room.loadOlder();
      await settle();
    }
    expect(texts(room)).toHaveLength(121);
  });

  it("an outbox that stood on the disk goes out after the next start, under the same client_id", async () => {
    const service = new FakeService();
    const store = new MemoryStore();
    service.silent = true;
    const first = await connect(service, store);
    const { clientId } = await first.client.post(ROOM, comment("written before the reload"));
    void first.client.stop();
    await settle(5_000);
    service.silent = false;
    const second = await connect(service, store);
    await settle(1_000);
    expect(service.receipts.has(clientId)).toBe(true);
    expect(texts(second.room)).toEqual(["written before the reload"]);
    expect(await store.load(7)).toEqual([]);
  });

  it("a receipt lost with the line does not make the comment twice", async () => {
    const service = new FakeService();
    const { client, room } = await connect(service);
    let broken = false;
    service.breakAtPost = () => !broken && (broken = true);
    await client.post(ROOM, comment("once"));
    await settle(3_000);
    expect(texts(room)).toEqual(["once"]);
    expect(client.outbox.list()).toEqual([]);
    expect(service.verdicts).toEqual([Verdict.FRESH, Verdict.RESUMED]);
    expect(service.tickets).toBe(1);
    expect(service.resumes).toBe(1);
  });

  it("a refusal is told with its reason; one that says later goes again by itself", async () => {
    const service = new FakeService();
    const { client, room } = await connect(service);
    let slow = true;
    service.refuse = (text) => {
      if (text === "rude") return { code: RefusalCode.MUTED };
      if (slow) {
        slow = false;
        return { code: RefusalCode.SLOW_MODE, wait: 2_000 };
      }
      return undefined;
    };
    const polite = await client.post(ROOM, comment("polite"));
    const rude = await client.post(ROOM, comment("rude"));
    await settle(500);
    expect(client.outbox.get(polite.clientId)).toMatchObject({ state: "waiting", refusal: { code: RefusalCode.SLOW_MODE } });
    await settle(3_000);
    expect(texts(room)).toEqual(["polite"]);
    expect(client.outbox.get(rude.clientId)).toMatchObject({ state: "refused", refusal: { code: RefusalCode.MUTED } });
  });

  it("a comment held for a moderator stays held over a reload, is not sent again, and holds nothing back", async () => {
    const service = new FakeService();
    const store = new MemoryStore();
    service.hold = (text) => text === "to be looked at";
    const first = await connect(service, store);
    const { clientId } = await first.client.post(ROOM, comment("to be looked at"));
    await settle();
    expect((await first.client.settled(clientId)).state).toBe("held");
    await first.client.stop();
    service.hold = () => false;
    const second = await connect(service, store);
    await second.client.post(ROOM, comment("and on"));
    await settle(1_000);
    expect(second.client.outbox.list().map((post) => [post.clientId, post.state])).toEqual([[clientId, "held"]]);
    expect(second.client.outbox.unsent).toBe(0);
    expect(texts(second.room)).toEqual(["and on"]);
    await second.client.discard(clientId);
    expect(await store.load(7)).toEqual([]);
  });

  it("a batch that never came is found by the tops and paged", async () => {
    const service = new FakeService();
    const { room } = await connect(service);
    service.lose = (frame) => frame.case === "batch";
    service.append(9, "lost");
    await settle();
    service.lose = () => false;
    expect(texts(room)).toEqual([]);
    service.tick();
    await settle(2_000);
    expect(texts(room)).toEqual(["lost"]);
  });

  it("a silent line is dead after twice the heartbeat, and the next one resumes", async () => {
    const service = new FakeService();
    const { client, room } = await connect(service);
    service.silent = true;
    await settle(2_100);
    expect(client.connection.phase).not.toBe("online");
    service.silent = false;
    service.append(9, "meanwhile");
    await settle(12_000);
    expect(client.connection.phase).not.toBe("idle");
    expect(texts(room)).toEqual(["meanwhile"]);
  });

  it("a small gap is filled; a great one starts at the end, with the rest when one scrolls back", async () => {
    const service = new FakeService();
    service.gapFrom = 10;
    const { room } = await connect(service);
    service.append(9, "first");
    await settle();
    const meanwhile = async (count: number) => {
      service.breakLines();
      for (let index = 0; index < count; index += 1) service.append(9, "x");
      await settle(3_000);
    };
    await meanwhile(500);
    expect(room.verdict).toBe("gap");
    expect(texts(room)).toHaveLength(501);
    await meanwhile(2_000);
    expect(texts(room)).toHaveLength(100);
    expect(room.follower.completeBefore).toBe(false);
    expect(room.follower.delivered).toBe(2_501);
  });

  it("another epoch throws away what was held", async () => {
    const service = new FakeService();
    const { room } = await connect(service);
    service.append(9, "of the old log");
    await settle();
    service.epoch = 78;
    service.log = [];
    service.append(9, "of the new log");
    await settle(2_000);
    expect(texts(room)).toEqual(["of the new log"]);
  });

  it("an ended session is not tried again, and what was written stays", async () => {
    const service = new FakeService();
    const { client } = await connect(service);
    service.silent = true;
    await client.post(ROOM, comment("kept"));
    service.breakLines(3500);
    await settle(2_000);
    expect(client.connection.phase).toBe("ended");
    expect(client.outbox.list()[0]).toMatchObject({ state: "waiting" });
  });

  it("a screen signs in by its link alone, with a token of its own, and reads", async () => {
    const service = new FakeService();
    service.append(9, "seen in the hall");
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new MemoryStore(), random: () => 0 });
    clients.push(client);
    await expect(client.signInDisplay("another")).rejects.toMatchObject({ code: RefusalCode.LINK_INVALID });
    expect(await client.signInDisplay("secret")).toMatchObject({ person: 0, display: { conversation: ROOM } });
    const room = client.enter(ROOM);
    await client.start();
    await settle();
    expect(client.connection.phase).toBe("online");
    expect(service.authorizations).toEqual(["Bearer screen"]);
    expect(texts(room)).toEqual(["seen in the hall"]);
    service.breakLines();
    service.append(9, "and after a break");
    await settle(2_000);
    expect(texts(room)).toEqual(["seen in the hall", "and after a break"]);
  });

  it("what has changed is told as it comes; what must be asked for waits a part of the spread", async () => {
    const service = new FakeService();
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new MemoryStore(), random: () => 0.5 });
    clients.push(client);
    await client.start();
    await settle(1_000);
    const told: unknown[] = [];
    client.changes.on(({ changed, listAgain }) => told.push([changed.map(({ subject, id, urgent, gone }) => ({ subject, id, urgent, gone })), listAgain]));
    const plain = { subject: "consultations", id: ROOM, urgent: false, gone: false };
    const brief = { case: "consultation", value: { id: ROOM, calledMs: 5n } } as const;
    const tell = (value: MessageInitShape<typeof ChangesSchema>) => service.tell({ case: "changes", value: create(ChangesSchema, value) });
    tell({ changed: [{ ...plain, urgent: true, brief }] });
    // Of a subject that nobody here knows.
    tell({ changed: [{ ...plain, version: 3n, brief }, { subject: "letters", id: "x", gone: true }, { subject: "letters", id: "y" }], listAgain: true, spreadMs: 10_000 });
    tell({ changed: [{ subject: "letters", id: "z" }], listAgain: true, spreadMs: 10_000 });
    await settle();
    const now = [
      [[{ ...plain, urgent: true }], false],
      [[plain, { subject: "letters", id: "x", urgent: false, gone: true }], false],
    ];
    expect(told).toEqual(now);
    await settle(4_000);
    expect(told).toEqual(now);
    await settle(1_000);
    expect(told.slice(2)).toEqual([[["y", "z"].map((id) => ({ subject: "letters", id, urgent: false, gone: false })), true]]);
  });

  it("who asks to try now does not come sooner than the service allows", async () => {
    const service = new FakeService();
    const { client } = await connect(service);
    service.tell({ case: "retry", value: { minMs: 5_000, jitterMs: 60_000, maxMs: 60_000 } });
    await settle();
    service.breakLines(3000);
    await settle(1_000);
    const retryAt = client.connection.retryAtMs;
    client.wake();
    await settle(3_000);
    expect(client.connection).toMatchObject({ phase: "waiting", retryAtMs: retryAt });
    await settle(2_000);
    expect(client.connection.phase).toBe("online");
  });

  it("a line that turns out to be another person's is not used", async () => {
    const service = new FakeService();
    service.person = 8;
    const { client } = await connect(service);
    expect(client.connection.phase).toBe("ended");
    expect(service.sockets.size).toBe(0);
  });

  it("a post thrown away before it was sent is never sent", async () => {
    const service = new FakeService();
    const { client } = await connect(service);
    service.breakLines();
    await settle(10);
    const { clientId } = await client.post(ROOM, comment("no"));
    const done = client.settled(clientId);
    await client.discard(clientId);
    expect((await done).state).toBe("waiting");
    await settle(2_000);
    expect(client.connection.phase).toBe("online");
    expect(service.log).toEqual([]);
  });

  it("nobody signed in is a refusal with its code", async () => {
    const service = new FakeService();
    service.sessionEnded = true;
    const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new MemoryStore() });
    await expect(client.start()).rejects.toMatchObject({ code: RefusalCode.UNAUTHENTICATED });
  });

  it("whatever breaks, every post is in the log once, in order, and the room shows the log", async () => {
    const faults = fc.array(fc.constantFrom("post", "other", "break", "lose", "cut", "tick"), { minLength: 5, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(faults, async (happened) => {
        const service = new FakeService();
        const { client, room } = await connect(service);
        let posted = 0;
        for (const what of happened) {
          if (what === "post") await client.post(ROOM, comment(`p${(posted += 1)}`));
          else if (what === "other") service.append(9, "o");
          else if (what === "break") service.breakLines();
          else if (what === "cut") {
            let once = true;
            service.breakAtPost = () => once && !(once = false);
          } else if (what === "lose") {
            let once = true;
            service.lose = (frame) => frame.case === "batch" && once && !(once = false);
          } else service.tick();
          await settle(50);
        }
        service.lose = () => false;
        for (let beat = 0; beat < 12; beat += 1) {
          service.tick();
          await settle(500);
        }
        const all = service.log.map((event) => (event.kind.case === "comment" ? event.kind.value.text : ""));
        expect(all.filter((text) => text.startsWith("p"))).toEqual(Array.from({ length: posted }, (_, index) => `p${index + 1}`));
        expect(texts(room)).toEqual(all);
        expect(client.outbox.list()).toEqual([]);
        await client.stop();
      }),
      { numRuns: 40 },
    );
  });
});
