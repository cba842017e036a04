// The states of a consultation, for the screen. Pure.
import { ConsultationState, type Entry } from "@yitang/sdk";
import type { StateName } from "../../kit/StateTag.vue";

const NAMES: { [state: number]: StateName } = {
  [ConsultationState.SCHEDULED]: "scheduled",
  [ConsultationState.OPEN]: "open",
  [ConsultationState.PAUSED]: "paused",
  [ConsultationState.CLOSED]: "closed",
};
export function stateName(state: ConsultationState): StateName {
  return NAMES[state] ?? "draft";
}

/** What the row of a change shows. */
export interface StateShown {
  state: ConsultationState;
  /** It was paused before. */
  isResumed: boolean;
}

/** Which changes of a consultation have a row: those to another state that people see; a change of rules alone has none. */
export function createStateReader(): (entry: Entry) => StateShown | undefined {
  let before: ConsultationState | undefined;
  return ({ kind }) => {
    if (kind.case !== "consultationChanged") return undefined;
    const { state } = kind;
    const isSeen = state !== before && state !== ConsultationState.DRAFT && state !== ConsultationState.SCHEDULED;
    const isResumed = before === ConsultationState.PAUSED && state === ConsultationState.OPEN;
    before = state;
    return isSeen ? { state, isResumed } : undefined;
  };
}
