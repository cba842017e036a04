// Starts `yitang all --demo` on data of its own, unless YITANG_URL names one that runs.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cable } from "./cable";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

function executable(): string {
  const named = process.env["YITANG"];
  if (named) return named;
  const built = ["release", "debug"].map((profile) => join(repository, "target", profile, "yitang")).filter((file) => existsSync(file));
  built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (!built[0]) throw new Error("there is no yitang to test: run `make build`, or name one by YITANG");
  return built[0];
}

/** A free port below those that outgoing connections take. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

async function answers(url: string, process_: ChildProcess | undefined, said: () => string): Promise<void> {
  const until = Date.now() + 120_000;
  while (Date.now() < until) {
    if (process_ && process_.exitCode !== null) throw new Error(`yitang ended:\n${said()}`);
    const ok = await fetch(`${url}/api/v1/config`).then((response) => response.ok, () => false);
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`yitang did not answer at ${url}:\n${said()}`);
}

export default async function start(): Promise<(() => Promise<void>) | void> {
  if (process.env["YITANG_URL"]) return answers(process.env["YITANG_URL"], undefined, () => "");
  const data = mkdtempSync(join(tmpdir(), "yitang-e2e-"));
  const [port, front, admin] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${front}`;
  const args = ["all", "--demo", "--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${admin}`, "--data", data];
  const yitang = spawn(executable(), [...args, "--set", `gateway.edge.public_url=${url}`], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [yitang.stdout, yitang.stderr]) stream.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-8_000)));
  // Browsers come by a cable that a test can cut; tests run in another process and cut it over HTTP.
  const cable = await Cable.lay(front, port);
  process.env["YITANG_E2E_URL"] = url;
  process.env["YITANG_E2E_CABLE"] = cable.control;
  const end = async () => {
    await cable.remove();
    yitang.kill("SIGTERM");
    await new Promise((resolve) => (yitang.exitCode === null ? yitang.once("exit", resolve) : resolve(undefined)));
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await answers(`http://127.0.0.1:${port}`, yitang, () => said);
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}
