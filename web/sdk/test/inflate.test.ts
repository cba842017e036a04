import { deflateRawSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { INFLATED_BYTES, canInflate, decodeEvents, inflate } from "../src/codec.js";
import type { Event } from "../src/gen/event_pb.js";
import { BatchSchema, EventsSchema } from "../src/gen/socket_pb.js";
import { Client, MemoryStore, type Room } from "../src/index.js";
import { FakeService, ROOM } from "./fake.js";

const deflated = (events: Event[]) => new Uint8Array(deflateRawSync(toBinary(EventsSchema, create(EventsSchema, { events }))));
const texts = (room: Room) => room.timeline.comments().map((entry) => (entry.kind.case === "comment" ? entry.kind.text : ""));

let clients: Client[] = [];
async function connect(service: FakeService) {
  const client = new Client({ url: "http://hall.test", webSocket: service.socketClass, fetch: service.fetch, store: new MemoryStore(), random: () => 0 });
  clients.push(client);
  const room = client.enter(ROOM);
  const shows = (wanted: string[]) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`shows ${JSON.stringify(texts(room))}`)), 10_000);
      const look = () => {
        if (JSON.stringify(texts(room)) !== JSON.stringify(wanted)) return;
        clearTimeout(timer);
        stop();
        resolve();
      };
      const stop = room.changed.on(look);
      look();
    });
  await client.start();
  await new Promise<void>((resolve) => {
    const stop = room.changed.on(() => {
      if (room.phase === "live") resolve(stop() as unknown as void);
    });
  });
  return { client, room, shows };
}
afterEach(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  clients = [];
});

describe("compressed batches", () => {
  it("can be read here, as this place says of itself", () => {
    expect(canInflate()).toBe(true);
  });

  it("stay in order among those that are not compressed", async () => {
    const service = new FakeService();
    const { shows, room } = await connect(service);
    const wanted: string[] = [];
    for (let index = 0; index < 200; index += 1) {
      service.deflate = index % 3 === 0 ? deflated : undefined;
      wanted.push(`comment ${index} ${"议".repeat(index % 50)}`);
      service.append(9, wanted[index] ?? "");
    }
    await shows(wanted);
    expect(room.follower.repairs).toBe(0);
  });

  it("one that cannot be inflated is a hole, and is paged; the line stays", async () => {
    const service = new FakeService();
    const { shows, client } = await connect(service);
    service.append(9, "whole");
    service.deflate = () => new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    service.append(9, "garbled");
    service.deflate = () => new Uint8Array(deflateRawSync(new Uint8Array(INFLATED_BYTES + 1)));
    service.append(9, "a bomb");
    service.deflate = (events) => deflated([...events, ...events]);
    service.append(9, "not what the batch says");
    service.deflate = undefined;
    service.append(9, "whole again");
    await shows(["whole", "garbled", "a bomb", "not what the batch says", "whole again"]);
    expect(client.connection.phase).toBe("online");
    expect(service.tickets + service.resumes).toBe(1);
  });

  it("inflate to a bound, and no further", async () => {
    const bomb = new Uint8Array(deflateRawSync(new Uint8Array(64 * 1024 * 1024)));
    expect(bomb.length).toBeLessThan(100_000);
    await expect(inflate(bomb)).rejects.toThrow(RangeError);
    await expect(inflate(bomb.subarray(0, 1_000), 1_000)).rejects.toThrow();
    expect(await inflate(new Uint8Array(deflateRawSync("1234")), 4)).toEqual(new TextEncoder().encode("1234"));
  });

  it("are believed only where they hold what they say", async () => {
    const service = new FakeService();
    const event = service.append(9, "one");
    const batch = (count: number, firstSeq: bigint) => create(BatchSchema, { firstSeq, count, body: { case: "events", value: { events: [event] } } });
    expect(await decodeEvents(batch(1, 1n))).toHaveLength(1);
    expect(await decodeEvents(batch(2, 1n))).toBeUndefined();
    expect(await decodeEvents(batch(1, 5n))).toBeUndefined();
  });
});
