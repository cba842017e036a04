// The list of consultations on this device: it opens without a network.
import { type Consultation, ConsultationSchema, type Organisation } from "@yitang/sdk";
import { loadItem, saveItem } from "../../kit/device-store";
import { people, rememberOrganisations } from "../../shell/people";

const TABLE = "consultations";
/** Lists kept on a device that several people use. */
const LISTS_MOST = 4;

/** A consultation as it stands on the disk: plain values, for structured cloning keeps no prototypes. */
export type PlainConsultation = Omit<Consultation, "$typeName" | "$unknown">;
export function toPlain(consultation: Consultation): PlainConsultation {
  const { $typeName: _, $unknown: __, ...rest } = consultation;
  return rest;
}
export function fromPlain(plain: PlainConsultation): Consultation {
  return { ...plain, $typeName: ConsultationSchema.typeName };
}

interface Stored {
  consultations: PlainConsultation[];
  organisations: Pick<Organisation, "id" | "name" | "parent" | "level">[];
}

export function saveList(person: number, consultations: Consultation[]): void {
  if (person === 0) return;
  const organisations = people.organisations().map(({ id, name, parent, level }) => ({ id, name, parent, level }));
  void saveItem(TABLE, String(person), { consultations: consultations.map(toPlain), organisations } satisfies Stored, LISTS_MOST);
}

/** As it was kept, and when (milliseconds since 1970). */
export async function loadList(person: number): Promise<{ savedMs: number; consultations: Consultation[] } | undefined> {
  const found = await loadItem<Stored>(TABLE, String(person));
  rememberOrganisations(found?.value.organisations ?? []);
  return found && { savedMs: found.savedMs, consultations: found.value.consultations.map(fromPlain) };
}
