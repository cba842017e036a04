// A consultation's state or rules are others now.
import type { KindRules, RoomRules } from "./rules.js";

export interface ConsultationChanged extends RoomRules {
  case: "consultationChanged";
  /** Why, where whoever did it said so. */
  reason: string;
}

export const consultationChanged: KindRules<ConsultationChanged> = {
  case: "consultationChanged",
  decode: ({ state, version, slowModeS, reason }) => ({ case: "consultationChanged", state, version, slowModeS, reason }),
  countsAsUnread: false,
  drawsRow: true,
  roomRules: ({ state, version, slowModeS }) => ({ state, version, slowModeS }),
};
