// What pages keep on this device to open without a network: things by table and key, the oldest of a table make room. Gone
// when one signs out. A store that cannot be had (a private window, a full disk) is an empty one.

const NAME = "yitang-shelf";
/** 2: one store for all tables. What version 1 held was a copy, and is dropped. */
const VERSION = 2;
const ITEMS = "items";
const BY_AGE = "age";

interface Item<T> {
  id: string;
  table: string;
  savedMs: number;
  value: T;
}

let opened: Promise<IDBDatabase> | undefined;
function open(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const database = request.result;
      for (const name of Array.from(database.objectStoreNames)) database.deleteObjectStore(name);
      database.createObjectStore(ITEMS, { keyPath: "id" }).createIndex(BY_AGE, ["table", "savedMs"]);
    };
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
    request.onsuccess = () => {
      const database = request.result;
      database.onversionchange = () => database.close();
      database.onclose = () => (opened = undefined);
      resolve(database);
    };
  }).catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  return opened;
}

async function transact<T>(mode: IDBTransactionMode, run: (store: IDBObjectStore, give: (value: T) => void) => void): Promise<T | undefined> {
  try {
    const transaction = (await open()).transaction([ITEMS], mode);
    return await new Promise<T | undefined>((resolve, reject) => {
      let found: T | undefined;
      transaction.oncomplete = () => resolve(found);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("IndexedDB failed"));
      run(transaction.objectStore(ITEMS), (value) => (found = value));
    });
  } catch {
    return undefined;
  }
}

const idOf = (table: string, key: string) => `${table}:${key}`;

/** Keeps `value` (plain: structured cloning keeps no prototypes) in a table of at most `most` things. */
export async function saveItem(table: string, key: string, value: unknown, most: number): Promise<void> {
  await transact("readwrite", (store) => {
    store.put({ id: idOf(table, key), table, savedMs: Date.now(), value } satisfies Item<unknown>);
    const ids = store.index(BY_AGE).getAllKeys(IDBKeyRange.bound([table, 0], [table, Infinity]));
    ids.onsuccess = () => {
      for (const id of ids.result.slice(0, Math.max(0, ids.result.length - most))) store.delete(id);
    };
  });
}

/** What was kept, and when (milliseconds since 1970 by this device's clock). */
export function loadItem<T>(table: string, key: string): Promise<{ savedMs: number; value: T } | undefined> {
  return transact<{ savedMs: number; value: T }>("readonly", (store, give) => {
    const request = store.get(idOf(table, key));
    request.onsuccess = () => request.result && give(request.result as Item<T>);
  });
}

/** Signing out leaves nothing of what was read. */
export async function clearDeviceStore(): Promise<void> {
  await transact("readwrite", (store) => void store.clear());
}
