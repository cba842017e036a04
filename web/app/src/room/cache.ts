// The rooms that were read last, on this device: they open without a network. Shown only while the live ones cannot be had,
// with the time they are of.
import type { Person } from "@yitang/sdk";
import { loadItem, saveItem } from "../kit/device-store";
import { roomHost } from "./host";
import type { Row } from "./rows";

const TABLE = "rooms";
/** Rooms kept, and rows of each. */
const ROOMS_MOST = 8;
const ROWS_MOST = 300;

interface Stored {
  about: object;
  rows: Row[];
  people: Pick<Person, "id" | "name" | "organisation" | "roles">[];
}
export interface CachedRoom {
  /** When it was kept, milliseconds since 1970. */
  savedMs: number;
  /** What the subject kept with it. */
  about: object;
  rows: Row[];
}

const keyOf = (person: number, id: string) => `${person}:${id}`;

/** `about`: what the subject wants to have again with the rows; plain values. */
export function saveRoom(person: number, id: string, about: object, rows: Row[]): void {
  if (person === 0) return;
  const last = rows.slice(-ROWS_MOST);
  const people = new Map<number, Stored["people"][number]>();
  for (const row of last) {
    const known = "entry" in row ? roomHost().names.personOf(row.entry.author) : undefined;
    if (known) people.set(known.id, { id: known.id, name: known.name, organisation: known.organisation, roles: [...known.roles] });
  }
  void saveItem(TABLE, keyOf(person, id), { about, rows: last, people: [...people.values()] } satisfies Stored, ROOMS_MOST);
}

export async function loadRoom(person: number, id: string): Promise<CachedRoom | undefined> {
  const found = await loadItem<Stored>(TABLE, keyOf(person, id));
  if (!found) return undefined;
  const { about, rows, people } = found.value;
  roomHost().names.remember(people);
  return { savedMs: found.savedMs, about, rows };
}
