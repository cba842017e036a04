// A service of the tests' own, as it is run for real: everything in one process, or the roles of docker-compose.yml.
// Each browser may come by a cable of its own, which a test can cut.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cable } from "./cable";
import { Front } from "./front";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const READY_MS = 120_000;
/** How many browsers may come by a cable of their own. */
const CABLES = 4;

/** Where the figures of measurements go. */
export const BENCH = join(repository, "target", "bench");

/** An executable of the project: beside the one that YITANG names, or the newest that was built. */
export function findExecutable(name: "yitang" | "up-local" | "loadtest" = "yitang"): string {
  const named = process.env["YITANG"];
  if (named) return name === "yitang" ? named : join(dirname(named), name);
  const built = ["release", "debug"].map((profile) => join(repository, "target", profile, name)).filter((file) => existsSync(file));
  built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (!built[0]) throw new Error(`there is no ${name} to test: run \`make build\`, or name a yitang by YITANG`);
  return built[0];
}

/** Given to somebody who may not listen there yet. */
const given = new Set<number>();

/** A free port below those that outgoing connections take. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (given.has(port)) continue;
    given.add(port);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** Waits until a service says what it is. */
export async function waitForAnswer(url: string, child?: Child): Promise<void> {
  await waitUntil(`the answer of ${url}`, async () => {
    if (child?.ended) throw new Error(`${child.name} ended:\n${child.said}`);
    return fetch(`${url}/api/v1/config`).then((response) => response.ok, () => false);
  });
}

/** Asks again and again until it is so. */
export async function waitUntil(what: string, isSo: () => Promise<boolean> | boolean, withinMs = READY_MS): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`${what} did not come within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What runs: it must not outlive us, however we end. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** A process that we started, with the end of what it said. */
export class Child {
  said = "";
  readonly #process: ChildProcess;

  constructor(
    readonly name: string,
    file: string,
    args: string[],
    env: Record<string, string> = {},
  ) {
    // YITANG_URL is ours and no setting of the service.
    const { YITANG_URL: _, ...own } = process.env;
    this.#process = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...own, ...env } });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.said = (this.said + chunk.toString()).slice(-20_000)));
    }
    running.add(this.#process);
    this.#process.once("exit", () => running.delete(this.#process));
    this.#process.on("error", (error) => (this.said += error.message));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }
  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }
  get code(): number | null {
    return this.#process.exitCode;
  }

  async done(): Promise<void> {
    if (!this.ended) await new Promise((resolve) => this.#process.once("exit", resolve));
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.ended) this.#process.kill(signal);
    await this.done();
  }
}

/** What runs the gateways: how to kill one, and how it comes back. */
export interface Gateway {
  name: string;
  pid: number;
  /** host:port of its metrics. */
  admin: string;
}

export abstract class Service {
  abstract readonly kind: "all" | "topology";
  /** Where the service listens. */
  protected port = 0;
  /** Processes of the executable. */
  abstract readonly pids: number[];
  abstract readonly gateways: Gateway[];
  readonly #cables: Cable[] = [];
  #front: Front | undefined;
  protected readonly ports: number[] = [];
  protected readonly folder = mkdtempSync(join(tmpdir(), "yitang-e2e-"));

  /** For programs: no cable in between. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A line of its own to the service, and the address of the page at its near end. */
  async cable(): Promise<{ cable: Cable; url: string }> {
    const port = this.ports.pop();
    if (port === undefined) throw new Error(`there are ${CABLES} cables to a service`);
    const page = process.env["E2E_PAGE"];
    if (page) this.#front ??= await Front.stand(page, this.port);
    const cable = await Cable.lay(port, this.#front?.port ?? this.port);
    this.#cables.push(cable);
    return { cable, url: `http://127.0.0.1:${port}` };
  }

  /** -9 to the gateway. Where there is no other, it is started again on what it had written. */
  abstract kill(gateway: Gateway): Promise<void>;
  protected abstract end(): Promise<void>;

  async stop(): Promise<void> {
    for (const cable of this.#cables) await cable.remove();
    await this.#front?.remove();
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  protected async choosePorts(): Promise<{ port: number; origins: string }> {
    this.port = await freePort();
    for (let index = 0; index < CABLES; index += 1) this.ports.push(await freePort());
    return { port: this.port, origins: this.ports.map((port) => `http://127.0.0.1:${port}`).join(",") };
  }
}

/** `yitang all --demo` on data of its own. */
export class WholeService extends Service {
  readonly kind = "all";
  #admin = 0;
  #args: string[] = [];
  #child: Child | undefined;

  static async start(): Promise<WholeService> {
    const service = new WholeService();
    const { port, origins } = await service.choosePorts();
    service.#admin = await freePort();
    const data = join(service.folder, "data");
    const listen = ["--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${service.#admin}`, "--data", data];
    // All may be called again at once, by a test that is tried again.
    const set = [`gateway.edge.public_url=${service.url}`, `gateway.edge.origins=${origins}`, "chat_core.consultations.call_every_s=1"];
    const settings = set.flatMap((one) => ["--set", one]);
    service.#args = ["all", "--demo", ...listen, ...settings];
    await service.#launch().catch(async (error: unknown) => {
      await service.stop();
      throw error;
    });
    return service;
  }

  get pids(): number[] {
    return this.#child ? [this.#child.pid] : [];
  }
  get gateways(): Gateway[] {
    return [{ name: "all", pid: this.#child?.pid ?? 0, admin: `127.0.0.1:${this.#admin}` }];
  }

  async kill(): Promise<void> {
    await this.#child?.end("SIGKILL");
    await this.#launch();
  }

  protected async end(): Promise<void> {
    await this.#child?.end();
  }

  async #launch(): Promise<void> {
    this.#child = new Child("yitang", findExecutable(), this.#args);
    await waitForAnswer(this.url, this.#child);
  }
}

interface Addresses {
  roles: Record<string, { pid: number; admin: string }>;
}

/** PostgreSQL, Redis, presence, two chat-cores, two gateways and nginx before them, as `make up-local` starts them. */
export class Topology extends Service {
  readonly kind = "topology";
  #child: Child | undefined;
  #addresses: Addresses = { roles: {} };

  static async start(): Promise<Topology> {
    const service = new Topology();
    const { port, origins } = await service.choosePorts();
    const args = ["--port", String(port), "--folder", service.folder, "--sessions", "1"];
    service.#child = new Child("up-local", findExecutable("up-local"), args, { YITANG_GATEWAY__EDGE__ORIGINS: origins });
    const file = join(service.folder, "addresses.json");
    try {
      await waitUntil("the topology", () => {
        if (service.#child?.ended) throw new Error(`up-local ended:\n${service.#child.said}`);
        return existsSync(file) && (service.#child?.said.includes("Ctrl-C") ?? false);
      });
      service.#addresses = JSON.parse(readFileSync(file, "utf8")) as Addresses;
      await waitForAnswer(service.url, service.#child);
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  get pids(): number[] {
    return Object.values(this.#addresses.roles).map((role) => role.pid);
  }
  get gateways(): Gateway[] {
    const roles = Object.entries(this.#addresses.roles).filter(([name]) => name.startsWith("gateway"));
    return roles.map(([name, { pid, admin }]) => ({ name, pid, admin }));
  }

  async kill(gateway: Gateway): Promise<void> {
    process.kill(gateway.pid, "SIGKILL");
    await waitUntil(`the end of ${gateway.name}`, () => fetch(`http://${gateway.admin}/healthz`).then(() => false, () => true));
  }

  protected async end(): Promise<void> {
    await this.#child?.end();
  }
}
