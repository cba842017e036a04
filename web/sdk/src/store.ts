// Where unsent posts stay when the page is gone.
import type { Outgoing } from "./outbox.js";

export interface OutboxStore {
  /** The posts of one person. */
  load(person: number): Promise<Outgoing[]>;
  put(post: Outgoing): Promise<void>;
  remove(clientId: string): Promise<void>;
}

/** For programs without a disk, and tests. */
export class MemoryStore implements OutboxStore {
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
    database.onversionchange = () => database.close();
    database.onclose = () => (this.#opened = undefined);
    return database;
  }
}

/** IndexedDB first, memory where the browser refuses it (private windows of some). */
export class SafeStore implements OutboxStore {
  readonly #memory = new MemoryStore();
  #broken = false;
  constructor(private readonly disk: OutboxStore) {}

  /** Whether what is kept here outlives a reload. */
  get durable(): boolean {
    return !this.#broken;
  }

  async load(person: number): Promise<Outgoing[]> {
    const kept = await this.#try(() => this.disk.load(person));
    return kept ?? this.#memory.load(person);
  }
  async put(post: Outgoing): Promise<void> {
    await this.#memory.put(post);
    await this.#try(() => this.disk.put(post));
  }
  async remove(clientId: string): Promise<void> {
    await this.#memory.remove(clientId);
    await this.#try(() => this.disk.remove(clientId));
  }
  async #try<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await act();
      this.#broken = false;
      return result;
    } catch {
      this.#broken = true;
      return undefined;
    }
  }
}

/** The best that stands here. */
export function defaultStore(): OutboxStore {
  return typeof indexedDB === "undefined" ? new MemoryStore() : new SafeStore(new IndexedDbStore());
}
