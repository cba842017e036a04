import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";

const source = readFileSync(fileURLToPath(new URL("../worker/sw.js", import.meta.url)), "utf8");
const ORIGIN = "https://hall.test";

type Handler = (event: Record<string, unknown>) => void;
interface Asked {
  url: string;
  method: string;
  mode: string;
}

/** A browser around the worker: its caches, its network, its events. */
class Place {
  readonly stores = new Map<string, Map<string, string>>();
  readonly fetched: string[] = [];
  online = true;
  readonly #handlers = new Map<string, Handler>();

  run(version: string, files: string[]): void {
    this.#handlers.clear();
    const pathOf = (request: unknown) => new URL(typeof request === "string" ? request : (request as Asked).url, ORIGIN).pathname;
    const cacheOf = (name: string) => {
      const store = this.stores.get(name) ?? new Map<string, string>();
      this.stores.set(name, store);
      return {
        addAll: async (requests: unknown[]) => requests.forEach((request) => store.set(pathOf(request), `${version} ${pathOf(request)}`)),
        match: async (request: unknown) => store.get(pathOf(request)),
      };
    };
    const place = {
      URL,
      AbortController,
      setTimeout,
      clearTimeout,
      Request: class {
        constructor(readonly url: string) {}
      },
      fetch: async (request: unknown) => {
        this.fetched.push(pathOf(request));
        if (!this.online) throw new TypeError("no network");
        return { status: 200, network: pathOf(request) };
      },
      caches: {
        open: async (name: string) => cacheOf(name),
        keys: async () => [...this.stores.keys()],
        delete: async (name: string) => this.stores.delete(name),
        match: async (request: unknown) => [...this.stores.values()].map((store) => store.get(pathOf(request))).find((found) => found !== undefined),
      },
      self: {
        location: { origin: ORIGIN },
        skipWaiting: async () => undefined,
        clients: { claim: async () => undefined },
        addEventListener: (name: string, handler: Handler) => this.#handlers.set(name, handler),
      },
    };
    runInNewContext(source.replace("__VERSION__", version).replace("__FILES__", JSON.stringify(files)), place);
  }

  async life(name: "install" | "activate"): Promise<void> {
    let until: Promise<unknown> = Promise.resolve();
    this.#handlers.get(name)?.({ waitUntil: (promise: Promise<unknown>) => (until = promise) });
    await until;
  }

  /** What the worker answers; undefined: it leaves it to the network. */
  async ask(path: string, { method = "GET", mode = "cors", origin = ORIGIN } = {}): Promise<unknown> {
    let answer: Promise<unknown> | undefined;
    this.#handlers.get("fetch")?.({ request: { url: origin + path, method, mode }, respondWith: (promise: Promise<unknown>) => (answer = promise) });
    return answer;
  }
}

async function installed(version = "1", files = ["/", "/assets/a-1.js", "/seal.svg"]): Promise<Place> {
  const place = new Place();
  place.run(version, files);
  await place.life("install");
  await place.life("activate");
  return place;
}

describe("the service worker", () => {
  it("never answers for the service, whatever is asked of it", async () => {
    const place = await installed();
    for (const path of ["/api/v1/session", "/yitang.v1.ConsultationService/GetConsultation", "/ws", "/files/1"]) expect(await place.ask(path)).toBeUndefined();
    expect(await place.ask("/assets/a-1.js", { method: "POST" })).toBeUndefined();
    expect(await place.ask("/assets/a-1.js", { origin: "https://elsewhere.test" })).toBeUndefined();
  });

  it("gives the newest page there is, and the one that was kept where there is no network", async () => {
    const place = await installed();
    expect(await place.ask("/c/7f", { mode: "navigate" })).toMatchObject({ network: "/c/7f" });
    place.online = false;
    expect(await place.ask("/c/7f", { mode: "navigate" })).toBe("1 /");
    expect(await place.ask("/seal.svg")).toBe("1 /seal.svg");
  });

  it("gives a file that is named by its content from the device, without asking", async () => {
    const place = await installed();
    expect(await place.ask("/assets/a-1.js")).toBe("1 /assets/a-1.js");
    expect(place.fetched).toEqual([]);
    expect(await place.ask("/assets/b-1.js")).toMatchObject({ network: "/assets/b-1.js" });
  });

  it("a new version takes over, keeps the one before for its open pages, and drops what is older", async () => {
    const place = await installed();
    for (const version of ["2", "3"]) {
      place.run(version, ["/", `/assets/a-${version}.js`]);
      await place.life("install");
      await place.life("activate");
    }
    expect([...place.stores.keys()]).toEqual(["yitang-shell-2", "yitang-shell-3"]);
    expect(await place.ask("/assets/a-2.js")).toBe("2 /assets/a-2.js");
    place.online = false;
    expect(await place.ask("/", { mode: "navigate" })).toBe("3 /");
  });
});
