// The conversations that were read last, on this device: they open without a network. Shown only while the live ones
// cannot be had, with the time they are of; gone when one signs out.
import { type Consultation, ConsultationSchema, type Organisation, type Person } from "@yitang/sdk";
import type { Row } from "./rows";
import { keepOrganisations, people } from "./people";

const NAME = "yitang-shelf";
const ROOMS = "rooms";
const LISTS = "lists";
/** Rooms kept, and rows of each. */
const ROOMS_MOST = 8;
const ROWS_MOST = 300;

/** A consultation as it stands on the disk: plain values, for structured cloning keeps no prototypes. */
type Plain = Omit<Consultation, "$typeName" | "$unknown">;

interface Stored {
  key: string;
  person: number;
  savedMs: number;
  consultation: Plain;
  rows: Row[];
  people: Pick<Person, "id" | "name" | "organisation" | "roles">[];
}
export interface Kept {
  savedMs: number;
  consultation: Consultation;
  rows: Row[];
}

let opened: Promise<IDBDatabase> | undefined;
function open(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ROOMS, { keyPath: "key" }).createIndex("savedMs", "savedMs");
      request.result.createObjectStore(LISTS, { keyPath: "person" });
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

/** A shelf that cannot be had (a private window, a full disk) is an empty one. */
async function act<T>(mode: IDBTransactionMode, names: string[], run: (transaction: IDBTransaction, give: (value: T) => void) => void): Promise<T | undefined> {
  try {
    const transaction = (await open()).transaction(names, mode);
    return await new Promise<T | undefined>((resolve, reject) => {
      let found: T | undefined;
      transaction.oncomplete = () => resolve(found);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error("IndexedDB failed"));
      run(transaction, (value) => (found = value));
    });
  } catch {
    return undefined;
  }
}

function plain(consultation: Consultation): Plain {
  const { $typeName: _, $unknown: __, ...rest } = consultation;
  return rest;
}
function whole(kept: Plain): Consultation {
  return { ...kept, $typeName: ConsultationSchema.typeName };
}

export function keepRoom(person: number, consultation: Consultation, rows: Row[]): void {
  if (person === 0) return;
  const last = rows.slice(-ROWS_MOST);
  const names = new Map<number, Stored["people"][number]>();
  for (const row of last) {
    const known = row.kind === "comment" ? people.get(row.entry.author) : undefined;
    if (known) names.set(known.id, { id: known.id, name: known.name, organisation: known.organisation, roles: [...known.roles] });
  }
  const stored: Stored = {
    key: `${person}:${consultation.id}`,
    person,
    savedMs: Date.now(),
    consultation: plain(consultation),
    rows: last,
    people: [...names.values()],
  };
  void act("readwrite", [ROOMS], (transaction) => {
    const store = transaction.objectStore(ROOMS);
    store.put(stored);
    // The oldest make room.
    const keys = store.index("savedMs").getAllKeys();
    keys.onsuccess = () => {
      for (const key of keys.result.slice(0, Math.max(0, keys.result.length - ROOMS_MOST))) store.delete(key);
    };
  });
}

export async function keptRoom(person: number, id: string): Promise<Kept | undefined> {
  const stored = await act<Stored>("readonly", [ROOMS], (transaction, give) => {
    const request = transaction.objectStore(ROOMS).get(`${person}:${id}`);
    request.onsuccess = () => request.result && give(request.result as Stored);
  });
  if (!stored) return undefined;
  // What is known already is newer.
  people.keep(stored.people.filter((one) => !people.get(one.id)) as Person[]);
  return { savedMs: stored.savedMs, consultation: whole(stored.consultation), rows: stored.rows };
}

interface StoredList {
  person: number;
  savedMs: number;
  consultations: Plain[];
  organisations: Pick<Organisation, "id" | "name" | "parent" | "level">[];
}

export function keepList(person: number, consultations: Consultation[]): void {
  if (person === 0) return;
  const organisations = people.organisations().map(({ id, name, parent, level }) => ({ id, name, parent, level }));
  const stored: StoredList = { person, savedMs: Date.now(), consultations: consultations.map(plain), organisations };
  void act("readwrite", [LISTS], (transaction) => transaction.objectStore(LISTS).put(stored));
}

export async function keptList(person: number): Promise<{ savedMs: number; consultations: Consultation[] } | undefined> {
  const stored = await act<StoredList>("readonly", [LISTS], (transaction, give) => {
    const request = transaction.objectStore(LISTS).get(person);
    request.onsuccess = () => request.result && give(request.result as StoredList);
  });
  keepOrganisations(stored?.organisations ?? []);
  return stored && { savedMs: stored.savedMs, consultations: stored.consultations.map(whole) };
}

/** Signing out leaves nothing of what was read. */
export async function clearShelf(): Promise<void> {
  await act("readwrite", [ROOMS, LISTS], (transaction) => {
    for (const name of [ROOMS, LISTS]) transaction.objectStore(name).clear();
  });
}
