// What was done to a room, as its moderators read it. Pure.
import { type Act, ConsultationState, type Entry, toEntry } from "@yitang/sdk";

/** What one press takes back. */
export type Remedy = { unhide: number } | { unmute: number };

export interface ActShown {
  timeMs: number;
  /** 0: the service itself. */
  by: number;
  reason: string;
  what: { case: "event"; kind: Entry["kind"] } | { case: "mute"; person: number; untilMs: number };
  remedy?: Remedy;
}

function describeAct({ timeMs, by, what }: Act): ActShown | undefined {
  const common = { timeMs: Number(timeMs), by };
  if (what.case === "mute") {
    const { person, untilMs, reason } = what.value;
    return { ...common, reason, what: { case: "mute", person, untilMs: Number(untilMs) } };
  }
  if (what.case !== "event") return undefined;
  const { kind } = toEntry(what.value);
  return { ...common, reason: "reason" in kind ? kind.reason : "", what: { case: "event", kind } };
}

/** Acts, the newest first and without a gap from the newest, each with what takes it back, where nothing later did. */
export function describeActs(acts: Act[], nowMs: number): ActShown[] {
  const judged = new Set<string>();
  const isNewest = (key: string) => judged.size < judged.add(key).size;
  return acts.flatMap((act) => {
    const shown = describeAct(act);
    if (!shown) return [];
    const { what } = shown;
    let remedy: Remedy | undefined;
    if (what.case === "mute") {
      if (isNewest(`mute ${what.person}`) && what.untilMs > nowMs) remedy = { unmute: what.person };
    } else if (what.kind.case === "hide" || what.kind.case === "unhide") {
      if (isNewest(`comment ${what.kind.target}`) && what.kind.case === "hide") remedy = { unhide: what.kind.target };
    }
    return [remedy ? { ...shown, remedy } : shown];
  });
}

const STATES = {
  [ConsultationState.UNSPECIFIED]: "state.draft",
  [ConsultationState.DRAFT]: "state.draft",
  [ConsultationState.SCHEDULED]: "state.scheduled",
  [ConsultationState.OPEN]: "state.open",
  [ConsultationState.PAUSED]: "state.paused",
  [ConsultationState.CLOSED]: "state.closed",
} as const;
/** The words for a state, by their key. */
export function stateKey(state: ConsultationState) {
  return STATES[state] ?? "state.draft";
}
