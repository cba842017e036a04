// Where unsent posts stay when the page is gone.
import type { Outgoing } from "./outbox.js";
import { Signal } from "./signal.js";

export interface OutboxStore {
  /** The posts of one person. */
  load(person: number): Promise<Outgoing[]>;
  put(post: Outgoing): Promise<void>;
  remove(clientId: string): Promise<void>;
  /** Whether what is put here outlives the page or program; where it is not written, it does. */
  readonly durable?: boolean;
  /** `durable` has changed, or a disk has come back and may hold more than was loaded: load again. */
  readonly changed?: Signal;
}

/** Keeps posts as long as the program runs, and no longer. */
export class MemoryStore implements OutboxStore {
  readonly durable: boolean = false;
  readonly #posts = new Map<string, Outgoing>();
  async load(person: number): Promise<Outgoing[]> {
    return [...this.#posts.values()].filter((post) => post.person === person);
  }
  async put(post: Outgoing): Promise<void> {
    this.#posts.set(post.clientId, post);
  }
  async remove(clientId: string): Promise<void> {
    this.#posts.delete(clientId);
  }
  all(): Outgoing[] {
    return [...this.#posts.values()];
  }
}

const POSTS = "posts";

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}

/** In a browser: outlives reloads, crashes and a dead battery. A post is on the disk before it is sent. */
export class IndexedDbStore implements OutboxStore {
  #opened: Promise<IDBDatabase> | undefined;
  constructor(
    private readonly factory: IDBFactory = indexedDB,
    private readonly name = "yitang-outbox",
  ) {}

  async load(person: number): Promise<Outgoing[]> {
    const store = await this.#store("readonly");
    const posts = (await done(store.index("person").getAll(person))) as Outgoing[];
    return posts;
  }

  async put(post: Outgoing): Promise<void> {
    await this.#change((store) => store.put(post));
  }

  async remove(clientId: string): Promise<void> {
    await this.#change((store) => store.delete(clientId));
  }

  /** Done when the transaction is, not when the request was taken. */
  async #change(act: (store: IDBObjectStore) => void): Promise<void> {
    const store = await this.#store("readwrite");
    await new Promise<void>((resolve, reject) => {
      const { transaction } = store;
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("IndexedDB failed"));
      act(store);
    });
  }

  async #store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    try {
      return await this.#transaction(mode);
    } catch {
      // The browser may close the database under us (iOS does, in the background): once more with a new one.
      this.#opened = undefined;
      return this.#transaction(mode);
    }
  }

  async #transaction(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    this.#opened ??= this.#open();
    const database = await this.#opened;
    const options = { durability: "strict" } as IDBTransactionOptions;
    return database.transaction(POSTS, mode, options).objectStore(POSTS);
  }

  async #open(): Promise<IDBDatabase> {
    const request = this.factory.open(this.name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(POSTS, { keyPath: "clientId" }).createIndex("person", "person");
    };
    const database = await done(request);
    // Somebody deletes or upgrades it: let go, and open what stands there then.
    database.onversionchange = () => {
      database.close();
      this.#opened = undefined;
    };
    database.onclose = () => (this.#opened = undefined);
    return database;
  }
}

/** How long a disk may take for one thing, milliseconds. Some browsers never answer an `open`. */
const DISK_MS = 2_000;
/** A disk that failed is tried again after this time, ms. */
const AGAIN_MS = 5_000;

/** A disk first, memory where it fails: full, forbidden (private windows of some), deleted under the page, or without an
 * answer. What the disk does not have yet is written there as soon as it works again. It never throws. */
export class SafeStore implements OutboxStore {
  readonly changed = new Signal();
  readonly #memory = new MemoryStore();
  /** What the disk is yet to be written: ids of posts put or removed. */
  readonly #owed = new Set<string>();
  #broken = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  constructor(
    private readonly disk: OutboxStore,
    private readonly diskMs: number = DISK_MS,
    private readonly againMs: number = AGAIN_MS,
  ) {
    disk.changed?.on(() => this.changed.emit());
  }

  /** Around a store that may fail; one that is safe already is taken as it is. */
  static around(store: OutboxStore): SafeStore {
    return store instanceof SafeStore ? store : new SafeStore(store);
  }

  /** Whether what is kept here outlives a reload. */
  get durable(): boolean {
    return !this.#broken && (this.disk.durable ?? true);
  }

  async load(person: number): Promise<Outgoing[]> {
    const kept = await this.#try(() => this.disk.load(person));
    const here = new Map((kept ?? []).map((post) => [post.clientId, post]));
    for (const clientId of this.#owed) here.delete(clientId);
    for (const post of await this.#memory.load(person)) here.set(post.clientId, post);
    return [...here.values()];
  }

  async put(post: Outgoing): Promise<void> {
    await this.#memory.put(post);
    await this.#settle(post.clientId);
  }

  async remove(clientId: string): Promise<void> {
    await this.#memory.remove(clientId);
    await this.#settle(clientId);
  }

  /** Makes the disk agree with the memory about one post. */
  async #settle(clientId: string): Promise<void> {
    this.#owed.add(clientId);
    const post = this.#memory.all().find((kept) => kept.clientId === clientId);
    const written = await this.#try(async () => {
      await (post ? this.disk.put(post) : this.disk.remove(clientId));
      return true;
    });
    if (written) this.#owed.delete(clientId);
  }

  async #try<T>(act: () => Promise<T>): Promise<T | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error("the disk does not answer")), this.diskMs)));
    try {
      const result = await Promise.race([act(), late]);
      if (this.#broken) this.#handleRecovery();
      return result;
    } catch {
      this.#handleFailure();
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #handleFailure(): void {
    const was = this.#broken;
    this.#broken = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#try(() => this.disk.load(0)), this.againMs);
    // A program has no need to live on for this.
    (this.#timer as { unref?: () => void }).unref?.();
    if (!was) this.changed.emit();
  }

  #handleRecovery(): void {
    this.#broken = false;
    clearTimeout(this.#timer);
    // The disk may be a new one, and know nothing of what stands here.
    for (const post of this.#memory.all()) this.#owed.add(post.clientId);
    void (async () => {
      for (const clientId of [...this.#owed]) await this.#settle(clientId);
    })();
    this.changed.emit();
  }
}

/** The best that stands here. */
export function defaultStore(): OutboxStore {
  return typeof indexedDB === "undefined" ? new MemoryStore() : new SafeStore(new IndexedDbStore());
}
