// Over real sockets: a way between that lets no binary frames through, and one that garbles them.
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type WebSocket as ServerSocket, WebSocketServer } from "ws";
import { Client, MemoryStore, RefusalCode } from "../src/index.js";
import { SubprotocolChoice } from "../src/subprotocol.js";
import { WebSocket } from "../src/node/index.js";
import { FakeService, FakeSocket, ROOM } from "./fake.js";

const comment = (text: string) => ({ case: "comment" as const, text, replyTo: 0 });

/** What the way does with a binary frame. */
type Way = { up(socket: ServerSocket): boolean; down(socket: ServerSocket): boolean };

class Hall {
  readonly service = new FakeService();
  readonly asked: string[] = [];
  private constructor(
    readonly server: WebSocketServer,
    way: Way,
  ) {
    server.on("connection", (socket) => {
      const protocol = socket.protocol as "yitang.v1.proto" | "yitang.v1.json";
      this.asked.push(protocol);
      const inner = new FakeSocket(this.service, protocol);
      socket.on("message", (data: Buffer, isBinary) => {
        if (!isBinary) inner.send(data.toString());
        else if (way.up(socket)) inner.send(new Uint8Array(data));
      });
      socket.on("close", () => inner.close());
      inner.onmessage = ((event: { data: string | ArrayBuffer }) => {
        if (typeof event.data === "string") socket.send(event.data);
        else if (way.down(socket)) socket.send(event.data);
      }) as never;
      inner.onclose = (() => socket.close()) as never;
    });
  }

  static async open(way: Way): Promise<Hall> {
    const handleProtocols = (offered: Set<string>) => [...offered][0] ?? false;
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols });
    await new Promise((resolve) => server.once("listening", resolve));
    return new Hall(server, way);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/ws`;
  }
}

let ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

async function visit(way: Way): Promise<{ hall: Hall; client: Client }> {
  const hall = await Hall.open(way);
  ends.push(() => hall.server.close());
  const client = new Client({
    url: "http://hall.test",
    sockets: [hall.url],
    webSocket: WebSocket,
    fetch: hall.service.fetch,
    store: new MemoryStore(),
    connectMs: 500,
    random: () => 0,
  });
  ends.push(() => client.stop());
  client.enter(ROOM);
  await client.start();
  return { hall, client };
}

describe("a socket", () => {
  it.each<[string, Way]>([
    ["whose way cuts it at a binary frame", { up: (socket) => (socket.terminate(), false), down: () => true }],
    ["whose way swallows binary frames", { up: () => false, down: () => false }],
    ["whose way garbles binary frames", { up: () => true, down: (socket) => (socket.send(Buffer.from([0xff, 0xff, 0xff])), false) }],
  ])("%s falls back to JSON, and the post gets through", async (_, way) => {
    const { hall, client } = await visit(way);
    const { clientId } = await client.post(ROOM, comment("同意"));
    const done = await client.settled(clientId);
    expect(done).toMatchObject({ state: "shown", seq: 1 });
    expect(hall.service.log).toHaveLength(1);
    expect(hall.asked[0]).toBe("yitang.v1.proto");
    expect(hall.asked.at(-1)).toBe("yitang.v1.json");
  }, 20_000);

  it("whose way lets everything through stays with binary", async () => {
    const { hall, client } = await visit({ up: () => true, down: () => true });
    await client.settled((await client.post(ROOM, comment("同意"))).clientId);
    expect(hall.asked).toEqual(["yitang.v1.proto"]);
  });
});

describe("SubprotocolChoice", () => {
  const mute = { code: 1006, opened: true, answered: false, undecodable: false };
  it("one socket that died young, or a service that says why, is no reason to change", () => {
    const choice = new SubprotocolChoice();
    choice.handleEnding(mute, 0);
    choice.handleEnding({ ...mute, code: 3003 }, 0);
    choice.handleEnding(mute, 0);
    choice.handleEnding({ ...mute, answered: true }, 0);
    choice.handleEnding({ ...mute, opened: false }, 0);
    expect(choice.offer(0)[0]).toBe("yitang.v1.proto");
  });
  it("binary is tried again later, and at once where JSON does not get through either", () => {
    const choice = new SubprotocolChoice();
    choice.handleEnding({ ...mute, undecodable: true, answered: true }, 0);
    expect(choice.offer(1_000)).toEqual(["yitang.v1.json"]);
    expect(choice.offer(601_000)[0]).toBe("yitang.v1.proto");
    for (let time = 0; time < 2; time += 1) choice.handleEnding(mute, 1_000);
    expect(choice.offer(1_000)[0]).toBe("yitang.v1.proto");
  });
  it("who speaks one subprotocol only goes on with it", () => {
    const choice = new SubprotocolChoice(["yitang.v1.proto"]);
    for (let time = 0; time < 5; time += 1) choice.handleEnding(mute, 0);
    expect(choice.offer(0)).toEqual(["yitang.v1.proto"]);
  });
});

describe("a refusal over a real socket", () => {
  it("has its code, its sentences and its wait", async () => {
    const { hall, client } = await visit({ up: () => true, down: () => true });
    hall.service.refuse = () => ({ code: RefusalCode.MUTED });
    const done = await client.settled((await client.post(ROOM, comment("x"))).clientId);
    expect(done).toMatchObject({ state: "refused", refusal: { code: RefusalCode.MUTED, messageZh: "不行。", messageEn: "No." } });
  });
});
