// Lists of consultations: how they stand in groups, and what changes them. Pure.
import { type Change, type Consultation, type ConsultationBrief, ConsultationState } from "@yitang/sdk";

const FAR = BigInt(Number.MAX_SAFE_INTEGER);
/** An older call is no news to one who comes later. */
const FRESH_MS = 30 * 60_000;

export const isNow = ({ state }: Pick<Consultation, "state">) => state === ConsultationState.OPEN || state === ConsultationState.PAUSED;
export const isPast = ({ state }: Pick<Consultation, "state">) => state === ConsultationState.CLOSED;

export type GroupName = "open" | "coming" | "past";

/** Open now, coming (the nearest first, those without a time last), past (the latest first). */
export function groupsOf(all: Consultation[]): { name: GroupName; consultations: Consultation[] }[] {
  const soon = (a: Consultation, b: Consultation) => Number(a.opensMs || FAR) - Number(b.opensMs || FAR);
  const late = (a: Consultation, b: Consultation) => Number((b.closesMs || b.opensMs) - (a.closesMs || a.opensMs));
  const groups: { name: GroupName; consultations: Consultation[] }[] = [
    { name: "open", consultations: all.filter(isNow) },
    { name: "coming", consultations: all.filter((one) => !isNow(one) && !isPast(one)).sort(soon) },
    { name: "past", consultations: all.filter(isPast).sort(late) },
  ];
  return groups.filter((group) => group.consultations.length > 0);
}

/** As the service names this subject in what it tells. */
const SUBJECT = "consultations";

/** Of what has changed, what is of consultations. */
export function filterOwn(changed: Change[]): Change[] {
  return changed.filter(({ subject }) => subject === SUBJECT);
}

/** A list with what has changed in place. Undefined: it tells too little, so it must be listed again. */
export function applyChanges(all: Consultation[], changed: Change[]): Consultation[] | undefined {
  const now = new Map(all.map((one) => [one.id, one]));
  for (const { id, gone, brief } of changed) {
    const held = now.get(id);
    if (gone) now.delete(id);
    else if (!held || brief.case !== "consultation") return undefined;
    else if (brief.value.version >= held.version) {
      const { organisation, title, state, opensMs, closesMs, version, calledMs } = brief.value;
      now.set(id, { ...held, organisation, title, state, opensMs, closesMs, version, calledMs: calledMs > held.calledMs ? calledMs : held.calledMs });
    }
  }
  return [...now.values()];
}

/** Whether a call is still to be shown. */
export function isCallDue(called: Pick<ConsultationBrief, "state" | "calledMs">, nowMs: number): boolean {
  if (called.calledMs === 0n || nowMs - Number(called.calledMs) > FRESH_MS) return false;
  return called.state === ConsultationState.SCHEDULED || called.state === ConsultationState.OPEN || called.state === ConsultationState.PAUSED;
}
