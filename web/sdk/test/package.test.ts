// The package as others get it: packed, installed into an empty folder, imported, and read by their compiler.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "installed-"));
const run = (command: string, ...args: string[]) => {
  try {
    return execFileSync(command, args, { cwd: folder, encoding: "utf8" });
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout), { cause: error });
  }
};

beforeAll(() => run(process.execPath, here("../scripts/install.mjs"), folder), 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

const USE = `
import { Client, type Entry, type Outgoing, RefusalError } from "@yitang/sdk";
import { EventSchema } from "@yitang/sdk/gen/event_pb";
import { FileStore, WebSocket } from "@yitang/sdk/node";
const client: Client = new Client({ url: "http://127.0.0.1:1", webSocket: WebSocket, store: new FileStore("outbox") });
const room = client.enter("c");
export const last: Entry | undefined = room.timeline.list().at(-1);
export const post: Promise<Outgoing> = client.post("c", { case: "comment", text: "x", replyTo: 0 });
export const name: string = EventSchema.typeName;
export const refused = (error: unknown): boolean => error instanceof RefusalError;
// @ts-expect-error a post has a text
void client.post("c", { case: "comment", replyTo: 0 });
`;

describe("the package", () => {
  it("holds what is built and nothing else", () => {
    const packed = readdirSync(join(folder, "node_modules/@yitang/sdk"));
    expect(packed.sort()).toEqual(["README.md", "dist", "package.json"]);
    expect(existsSync(join(folder, "node_modules/vue"))).toBe(false);
  });

  it("is imported by Node, and works without a browser", () => {
    const script = `
      import { Client, MemoryStore, checkText } from "@yitang/sdk";
      import { FileStore, WebSocket } from "@yitang/sdk/node";
      import { EventSchema } from "@yitang/sdk/gen/event_pb";
      const client = new Client({ url: "http://127.0.0.1:1", webSocket: WebSocket, store: new FileStore("outbox") });
      const error = await client.signIn("a", "b").catch((error) => error);
      console.log(error.name, client.durable, new MemoryStore().durable, checkText("好"), EventSchema.typeName);
    `;
    expect(run(process.execPath, "--input-type=module", "-e", script).trim()).toBe("ConnectionLost true false undefined yitang.v1.Event");
  });

  it.each(["NodeNext", "Bundler"])("has types that resolve by %s", (resolution) => {
    writeFileSync(join(folder, "use.ts"), USE);
    const module = resolution === "Bundler" ? "ESNext" : resolution;
    run(process.execPath, here("../../node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable", "--skipLibCheck", "false", "--module", module, "--moduleResolution", resolution, "use.ts");
  }, 60_000);
});
