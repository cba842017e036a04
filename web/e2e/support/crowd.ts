// A flood of comments, posted by the project's own load generator.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child, findExecutable } from "./service";

export interface FloodReport {
  acknowledged: number;
  acknowledged_per_s: number;
  lost: number;
  duplicated: number;
  out_of_order: number;
}

/** Members that post; each within what one socket may. */
const POSTERS = 25;

export class Flood {
  readonly #folder = mkdtempSync(join(tmpdir(), "yitang-flood-"));
  readonly #child: Child;
  #cpu = 0;

  constructor(url: string, conversation: string, perS: number, seconds: number) {
    const as = ["--target", url, "--login-prefix", "member", "--password", "yitang-demo", "--consultation", conversation];
    const how = ["--viewers", "1", "--posters", String(POSTERS), "--posts-per-s", String(perS), "--seconds", String(seconds), "--settle-s", "30"];
    this.#child = new Child("loadtest", findExecutable("loadtest"), ["steady", ...as, ...how, "--json", this.#report]);
  }

  get #report(): string {
    return join(this.#folder, "report.json");
  }

  get ended(): boolean {
    return this.#child.ended;
  }

  /** Seconds of CPU that the generator has taken so far. */
  get cpuS(): number {
    if (!this.#child.ended) this.#cpu = Math.max(this.#cpu, measureCpu([this.#child.pid, ...childrenOf(this.#child.pid)]));
    return this.#cpu;
  }

  /** Waits for its end, and gives what it counted. */
  async done(): Promise<FloodReport> {
    await this.#child.done();
    try {
      if (this.#child.code !== 0) throw new Error(`the load generator failed:\n${this.#child.said}`);
      return JSON.parse(readFileSync(this.#report, "utf8")) as FloodReport;
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  async stop(): Promise<void> {
    await this.#child.end();
  }
}

/** Seconds of CPU that these processes have taken, and their children that ended. */
export function measureCpu(pids: number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      for (const index of [11, 12, 13, 14]) ticks += Number(fields[index]);
    } catch {
      // It has ended.
    }
  }
  return ticks / 100;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
