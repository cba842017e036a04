// An outbox in a folder, for programs in Node: one file a post, each written whole or not at all.
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Outgoing } from "../outbox.js";
import type { OutboxStore } from "../store.js";

/** Outlives the program and the machine's power. Give each program a folder of its own: two that share one would both
 * send what is in it (once each in the log all the same, by its client_id). */
export class FileStore implements OutboxStore {
  readonly durable = true;
  /** Changes of one post, in their order. */
  readonly #turn = new Map<string, Promise<void>>();

  constructor(private readonly folder: string) {}

  async load(person: number): Promise<Outgoing[]> {
    await mkdir(this.folder, { recursive: true });
    const posts: Outgoing[] = [];
    for (const name of await readdir(this.folder)) {
      if (!name.endsWith(".json")) continue;
      const text = await readFile(join(this.folder, name), "utf8").catch(() => undefined);
      // Removed just now.
      if (text === undefined) continue;
      const post = JSON.parse(text) as Outgoing;
      if (post.person === person) posts.push(post);
    }
    return posts;
  }

  put(post: Outgoing): Promise<void> {
    return this.#inTurn(post.clientId, async () => {
      const file = this.#file(post.clientId);
      await mkdir(this.folder, { recursive: true });
      const handle = await open(`${file}.new`, "w", 0o600);
      try {
        await handle.writeFile(JSON.stringify(post));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}.new`, file);
      await this.#syncFolder();
    });
  }

  remove(clientId: string): Promise<void> {
    return this.#inTurn(clientId, () => rm(this.#file(clientId), { force: true }));
  }

  #file(clientId: string): string {
    if (!/^[\w-]{1,64}$/.test(clientId)) throw new RangeError("a client_id that is no file's name");
    return join(this.folder, `${clientId}.json`);
  }

  /** A name is on the disk when its folder is. */
  async #syncFolder(): Promise<void> {
    const handle = await open(this.folder, "r").catch(() => undefined);
    // Windows has no such thing.
    await handle?.sync().catch(() => undefined);
    await handle?.close();
  }

  async #inTurn(clientId: string, act: () => Promise<void>): Promise<void> {
    const before = this.#turn.get(clientId) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(act);
    this.#turn.set(clientId, mine);
    try {
      await mine;
    } finally {
      if (this.#turn.get(clientId) === mine) this.#turn.delete(clientId);
    }
  }
}
