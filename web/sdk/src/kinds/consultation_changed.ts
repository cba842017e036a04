// A consultation's state or rules are others now.
import type { KindRules, RoomRules } from "./rules.js";

export interface ConsultationChanged extends RoomRules {
  case: "consultationChanged";
}

export const consultationChanged: KindRules<ConsultationChanged> = {
  case: "consultationChanged",
  decode: ({ state, version, slowModeS }) => ({ case: "consultationChanged", state, version, slowModeS }),
  countsAsUnread: false,
  drawsRow: true,
  roomRules: ({ state, version, slowModeS }) => ({ state, version, slowModeS }),
};
