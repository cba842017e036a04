// How a screen says what state the consultation is in.
import { ConsultationState } from "@yitang/sdk";
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
