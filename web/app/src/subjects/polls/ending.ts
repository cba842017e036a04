// The poll that is about to be ended: asked once, with how many have voted.
import { type Entry, MarkKind } from "@yitang/sdk";
import { shallowRef } from "vue";
import type { RoomContext } from "../../room/parts";

export const ending = shallowRef<{ votes: number; end: () => void }>();

export function askToEnd({ seq, marks }: Entry, room: RoomContext): void {
  const votes = (marks?.counts ?? []).filter(({ mark }) => mark === MarkKind.VOTE).reduce((sum, { count }) => sum + count, 0);
  ending.value = { votes, end: () => void room.post({ case: "pollClosed", target: seq }) };
}
