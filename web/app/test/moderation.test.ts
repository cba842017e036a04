import { type Act, ActSchema } from "@yitang/sdk";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { describeActs } from "../src/subjects/moderation/acts";

const NOW_MS = 1_000_000;
const act = (what: MessageInitShape<typeof ActSchema>["what"]): Act => create(ActSchema, { timeMs: 5n, by: 9, what: what as never });
const hide = (seq: bigint, target: bigint) => act({ case: "event", value: { seq, author: 9, kind: { case: "hide", value: { target, reason: "rude" } } } } as never);
const unhide = (seq: bigint, target: bigint) => act({ case: "event", value: { seq, author: 9, kind: { case: "unhide", value: { target } } } } as never);
const mute = (person: number, untilMs: number) => act({ case: "mute", value: { person, untilMs: BigInt(untilMs), reason: "" } } as never);

describe("the acts of a room", () => {
  it("can be taken back where nothing later did", () => {
    const remedies = (acts: Act[]) => describeActs(acts, NOW_MS).map(({ remedy }) => remedy);
    expect(remedies([hide(9n, 3n), unhide(8n, 4n), hide(7n, 4n), hide(6n, 3n)])).toEqual([{ unhide: 3 }, undefined, undefined, undefined]);
    expect(remedies([mute(1, NOW_MS + 1), mute(2, 0), mute(2, NOW_MS + 5), mute(3, NOW_MS)])).toEqual([{ unmute: 1 }, undefined, undefined, undefined]);
  });

  it("say who, when and why", () => {
    expect(describeActs([hide(9n, 3n)], NOW_MS)).toEqual([
      { timeMs: 5, by: 9, reason: "rude", what: { case: "event", kind: { case: "hide", target: 3, reason: "rude" } }, remedy: { unhide: 3 } },
    ]);
  });
});
