// Several tabs of one browser and the SDK alone: one socket for all, handed over when a tab is closed, frozen or held still.
import { fileURLToPath } from "node:url";
import { type BrowserContext, type Page, expect, test } from "@playwright/test";
import type { Client, Room } from "@yitang/sdk";
import { type Rolldown, build } from "vite";
import { makeUnique, url } from "../support/page";

type Sdk = typeof import("@yitang/sdk");
/** What stands in the test's page. */
interface Here {
  sdk: Sdk;
  client: Client;
  room: Room;
  conversation: string;
}

/** A document of the service itself, without scripts: one that the test made up would be of no known network, and Chromium
 * lets no such page open a socket to this machine. */
const PAGE = "/api/v1/config";
/** The SDK as a browser loads it, by the names of its files. */
const scripts = new Map<string, string>();

test.beforeAll(async () => {
  const entry = fileURLToPath(new URL("../../sdk/src/index.ts", import.meta.url));
  const lib = { entry, formats: ["es" as const], fileName: () => "sdk.js" };
  const built = await build({ configFile: false, logLevel: "error", build: { write: false, minify: false, lib } });
  for (const { output } of [built].flat() as Rolldown.RolldownOutput[]) {
    for (const file of output) if (file.type === "chunk") scripts.set(file.fileName, file.code);
  }
});

class Tab {
  readonly sockets = new Set<unknown>();
  private constructor(readonly page: Page) {
    page.on("websocket", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  static async open(context: BrowserContext, login = ""): Promise<Tab> {
    const tab = new Tab(await context.newPage());
    await tab.page.goto(url() + PAGE);
    await tab.page.evaluate(async (login) => {
      const here = window as unknown as Here;
      here.sdk = (await import("/tests/sdk.js" as string)) as Sdk;
      here.client = new here.sdk.Client();
      if (login) await here.client.signIn(login, "yitang-demo");
      else await here.client.restore();
      const states = [here.sdk.ConsultationState.OPEN];
      const { consultations } = await here.client.services.consultations.listConsultations({ states, limit: 1 });
      if (!consultations[0]) throw new Error("no consultation is open");
      here.conversation = consultations[0].id;
      here.room = here.client.enter(here.conversation);
      await here.client.start();
    }, login);
    await tab.isOnline();
    return tab;
  }

  async isOnline(): Promise<void> {
    const standing = () => [(window as unknown as Here).client.connection.phase, (window as unknown as Here).room.phase, (window as unknown as Here).room.refusal?.message];
    await expect.poll(() => this.page.evaluate(standing)).toEqual(["online", "live", undefined]);
  }

  /** Written down, not necessarily sent. */
  async says(text: string): Promise<void> {
    await this.page.evaluate((text) => {
      const { client, conversation } = window as unknown as Here;
      return client.post(conversation, { case: "comment", text, replyTo: 0 }).then(() => undefined);
    }, text);
  }

  /** Seqs and texts, as its room holds them, from a comment on. */
  reads(mark: string): Promise<{ seq: number; text: string }[]> {
    return this.page.evaluate((mark) => {
      const read = (window as unknown as Here).room.timeline.comments().map(({ seq, kind }) => ({ seq, text: kind.case === "comment" ? kind.text : "" }));
      return read.slice(read.findIndex(({ text }) => text === mark));
    }, mark);
  }

  async sees(mark: string, texts: string[]): Promise<void> {
    await expect.poll(async () => (await this.reads(mark)).map(({ text }) => text).sort()).toEqual([mark, ...texts].sort());
    const seqs = (await this.reads(mark)).map(({ seq }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  }

  phase(): Promise<string> {
    return this.page.evaluate(() => (window as unknown as Here).client.connection.phase);
  }

  unsent(): Promise<number> {
    return this.page.evaluate(() => (window as unknown as Here).client.outbox.unsent);
  }
}

test.describe("tabs of one browser", () => {
  let context: BrowserContext;
  let mark = "";
  const sockets = (tabs: Tab[]) => tabs.reduce((count, tab) => count + tab.sockets.size, 0);

  async function opens(count: number): Promise<Tab[]> {
    const tabs = [await Tab.open(context, "member21")];
    while (tabs.length < count) tabs.push(await Tab.open(context));
    mark = makeUnique("从这里开始");
    await tabs[0]?.says(mark);
    for (const tab of tabs) await tab.sees(mark, []);
    return tabs;
  }

  test.beforeEach(async ({ browser }) => {
    context = await browser.newContext();
    await context.route("**/tests/*.js", (route) => {
      const name = new URL(route.request().url()).pathname.split("/").pop() ?? "";
      return route.fulfill({ contentType: "text/javascript; charset=utf-8", body: scripts.get(name) ?? "throw new Error('no such file')" });
    });
  });
  test.afterEach(() => context.close());

  test("share one socket, which the next one takes over when its tab is closed", async () => {
    const [first, second, third] = (await opens(3)) as [Tab, Tab, Tab];
    expect(sockets([first, second, third])).toBe(1);
    expect(first.sockets.size).toBe(1);

    // All three speak at once, and the one with the socket goes away in the middle.
    const said: string[] = [];
    const speaks = async (tab: Tab, name: string) => {
      for (let index = 0; index < 20; index += 1) {
        said.push(`${name} ${index}`);
        await tab.says(`${name} ${index}`);
      }
    };
    const speaking = [speaks(second, "second"), speaks(third, "third")];
    await first.says("first 0");
    said.push("first 0");
    await first.page.close();
    await Promise.all(speaking);
    await second.sees(mark, said);
    await third.sees(mark, said);
    expect(sockets([second, third])).toBe(1);
    for (const name of ["second", "third"]) {
      const order = (await third.reads(mark)).map(({ text }) => text).filter((text) => text.startsWith(name));
      expect(order).toEqual(Array.from({ length: 20 }, (_, index) => `${name} ${index}`));
    }
    expect([await second.unsent(), await third.unsent()]).toEqual([0, 0]);
  });

  test("one that is about to be frozen lets another have the socket, and comes back to what it missed", async () => {
    const [first, second] = (await opens(2)) as [Tab, Tab];
    // Chromium freezes hidden tabs alone, and Playwright's are never hidden: the page is told what the browser would tell it.
    // One that stands still for real is the next test's.
    // It lets go at once, while it still may run, so that nobody has to find out.
    const phase = await first.page.evaluate(() => {
      document.dispatchEvent(new Event("freeze"));
      return (window as unknown as Here).client.connection.phase;
    });
    expect(phase).toBe("connecting");
    await second.says("while it is frozen");
    await second.sees(mark, ["while it is frozen"]);
    expect(second.sockets.size).toBe(1);
    expect(await first.phase()).toBe("connecting");
    expect((await first.reads(mark)).length).toBe(1);
    await first.page.evaluate(() => document.dispatchEvent(new Event("resume")));
    await first.isOnline();
    await first.sees(mark, ["while it is frozen"]);
    await expect.poll(() => sockets([first, second])).toBe(1);
  });

  test("one that is held still without a warning is replaced, and nothing is lost or doubled", async () => {
    const [first, second] = (await opens(2)) as [Tab, Tab];
    await first.says("before");
    await second.sees(mark, ["before"]);
    const devtools = await context.newCDPSession(first.page);
    await devtools.send("Debugger.enable");
    const paused = new Promise((resolve) => devtools.once("Debugger.paused", resolve));
    await devtools.send("Debugger.pause");
    await paused;
    await second.says("to one that does not hear");
    await second.sees(mark, ["before", "to one that does not hear"]);
    expect(second.sockets.size).toBe(1);
    await devtools.send("Debugger.disable");
    await first.sees(mark, ["before", "to one that does not hear"]);
    await first.isOnline();
    await first.says("after");
    await second.sees(mark, ["before", "to one that does not hear", "after"]);
    await expect.poll(() => sockets([first, second])).toBe(1);
  });

  test("a post written in a tab that is closed at once is sent by another", async () => {
    const [first, second] = (await opens(2)) as [Tab, Tab];
    await second.says("my last word");
    await second.page.close();
    await first.sees(mark, ["my last word"]);
  });

  test("signing out in one is signing out in all", async () => {
    const [first, second, third] = (await opens(3)) as [Tab, Tab, Tab];
    await second.page.evaluate(() => (window as unknown as Here).client.signOut());
    for (const tab of [first, third]) await expect.poll(() => tab.phase()).toBe("ended");
    expect(await second.phase()).toBe("idle");
    await expect.poll(() => sockets([first, second, third])).toBe(0);
  });
});
