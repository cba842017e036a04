// The first event of every log.
import type { ConversationKind } from "../gen/event_pb.js";
import type { KindRules } from "./rules.js";

export interface ConversationCreated {
  case: "conversationCreated";
  kind: ConversationKind;
  title: string;
}

export const conversationCreated: KindRules<ConversationCreated> = {
  case: "conversationCreated",
  decode: ({ kind, title }) => ({ case: "conversationCreated", kind, title }),
  countsAsUnread: false,
  drawsRow: false,
};
