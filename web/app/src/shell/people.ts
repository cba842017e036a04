// Names of people and organisations, for the screen.
import { type Organisation, type Person, People } from "@yitang/sdk";
import { ref } from "vue";
import { client } from "./client";

export const people = new People(client.services);
/** Counts up when names or organisations have come; in a flood they come all the time, and are shown in groups. */
export const peopleVersion = ref(0);
const GATHER_MS = 150;
let timer: ReturnType<typeof setTimeout> | undefined;
people.changed.on(() => {
  timer ??= setTimeout(() => {
    timer = undefined;
    peopleVersion.value += 1;
  }, GATHER_MS);
});

/** Those of an earlier visit, where the service cannot be reached. */
const earlier = new Map<number, Pick<Organisation, "id" | "name">>();
export function rememberOrganisations(organisations: Pick<Organisation, "id" | "name">[]): void {
  for (const organisation of organisations) earlier.set(organisation.id, organisation);
}

export function personOf(id: number): Person | undefined {
  void peopleVersion.value;
  return people.get(id);
}
/** "…" until the name has come. */
export function nameOf(id: number): string {
  return personOf(id)?.name ?? "…";
}
export function organisationName(id: number): string {
  void peopleVersion.value;
  return (people.organisation(id) ?? earlier.get(id))?.name ?? "";
}
export function organisationOf(person: number): string {
  return organisationName(personOf(person)?.organisation ?? 0);
}
