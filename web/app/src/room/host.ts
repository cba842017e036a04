// What a room needs of the page that it stands in. A room knows neither who signs in nor how: it is told, once.
import type { Client, Connection, Organisation, Person } from "@yitang/sdk";
import type { Ref } from "vue";

/** Names for the screen; each follows what comes later, in a template or a computed. */
export interface Names {
  personOf(id: number): Person | undefined;
  /** "…" until the name has come. */
  nameOf(person: number): string;
  /** The name of a person's organisation; empty until it has come. */
  organisationOf(person: number): string;
  /** The whole tree, parents before their children. */
  organisations(): Organisation[];
  /** Names from elsewhere, where none is known yet. */
  remember(people: Pick<Person, "id" | "name" | "organisation" | "roles">[]): void;
}

export interface RoomHost {
  client: Client;
  /** The id of the person who is signed in; 0: nobody. */
  me: Readonly<Ref<number>>;
  connection: Readonly<Ref<Connection>>;
  names: Names;
  /** What a comment may have at most, bytes of UTF-8. */
  maxTextBytes(): number;
  describeError(error: unknown): string;
}

let given: RoomHost | undefined;
export function setRoomHost(host: RoomHost): void {
  given = host;
}
/** Throws where no page has called `setRoomHost`. */
export function roomHost(): RoomHost {
  if (!given) throw new Error("a room stands in no page: call setRoomHost first");
  return given;
}
