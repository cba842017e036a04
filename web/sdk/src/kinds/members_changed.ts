// People came into a group, or left it.
import type { KindRules } from "./rules.js";

export interface MembersChanged {
  case: "membersChanged";
  added: number[];
  removed: number[];
}

export const membersChanged: KindRules<MembersChanged> = {
  case: "membersChanged",
  decode: ({ added, removed }) => ({ case: "membersChanged", added, removed }),
  countsAsUnread: false,
  drawsRow: false,
};
