import { type Change, type Consultation, type ConsultationBrief, ConsultationState } from "@yitang/sdk";
import { describe, expect, it } from "vitest";
import { BLOCK, type Block, appendToBlocks } from "../src/subjects/consultations/blocks";
import { applyChanges, filterOwn, groupsOf, isCallDue } from "../src/subjects/consultations/groups";

const consultation = (id: string, change: Partial<Consultation> = {}) =>
  ({ id, title: id, organisation: 1, state: ConsultationState.SCHEDULED, opensMs: 0n, closesMs: 0n, version: 1, calledMs: 0n, ...change }) as Consultation;
const brief = (id: string, change: Partial<ConsultationBrief> = {}) => consultation(id, change as Partial<Consultation>) as unknown as ConsultationBrief;
/** As the service tells it. */
const told = (id: string, change: Partial<ConsultationBrief> = {}) =>
  ({ subject: "consultations", id, gone: false, urgent: false, brief: { case: "consultation", value: brief(id, change) } }) as Change;
const toldAlone = (id: string, gone: boolean, subject = "consultations") => ({ subject, id, gone, urgent: false, brief: { case: undefined } }) as Change;

describe("a list of consultations", () => {
  it("stands in groups: the nearest to come first, what has no time last; the latest past first", () => {
    const groups = groupsOf([
      consultation("past", { state: ConsultationState.CLOSED, closesMs: 5n }),
      consultation("by hand"),
      consultation("later", { opensMs: 9n }),
      consultation("open", { state: ConsultationState.OPEN }),
      consultation("soon", { opensMs: 3n }),
      consultation("paused", { state: ConsultationState.PAUSED }),
      consultation("latest", { state: ConsultationState.CLOSED, closesMs: 8n }),
    ]);
    expect(groups.map(({ name, consultations }) => [name, consultations.map((one) => one.id)])).toEqual([
      ["open", ["open", "paused"]],
      ["coming", ["soon", "later", "by hand"]],
      ["past", ["latest", "past"]],
    ]);
  });

  it("is changed in place by what is newer, and not by what is older", () => {
    const all = [consultation("a", { version: 3 }), consultation("b", { version: 3 }), consultation("c")];
    const now = applyChanges(all, [told("a", { version: 4, title: "新题" }), told("b", { version: 2, title: "旧题" }), toldAlone("c", true)]);
    expect(now?.map((one) => [one.id, one.title])).toEqual([["a", "新题"], ["b", "b"]]);
  });

  it("is listed anew where one comes that it does not know, or that is not told in full", () => {
    expect(applyChanges([consultation("a")], [told("b")])).toBeUndefined();
    expect(applyChanges([consultation("a")], [toldAlone("a", false)])).toBeUndefined();
    expect(applyChanges([consultation("a")], [toldAlone("b", true)])).toHaveLength(1);
  });

  it("is not touched by what is of other subjects", () => {
    expect(filterOwn([toldAlone("x", false, "letters"), told("a")]).map(({ id }) => id)).toEqual(["a"]);
  });

  it("calls for what is about to begin or under way, for half an hour", () => {
    const nowMs = 10_000_000;
    const called = (change: Partial<ConsultationBrief>) => isCallDue(brief("a", { calledMs: BigInt(nowMs - 60_000), ...change }), nowMs);
    expect(called({})).toBe(true);
    expect(called({ state: ConsultationState.OPEN })).toBe(true);
    expect(called({ state: ConsultationState.CLOSED })).toBe(false);
    expect(called({ calledMs: 0n })).toBe(false);
    expect(called({ calledMs: BigInt(nowMs - 31 * 60_000) })).toBe(false);
  });
});

describe("a document", () => {
  it("grows by blocks, and a full block is never made again", () => {
    const entry = (seq: number) => ({ seq, mseq: seq, timeMs: 0, author: 1, kind: { case: "comment" as const, text: "", replyTo: 0, version: 0, restored: 0 } });
    let blocks: Block[] = [];
    blocks = appendToBlocks(blocks, Array.from({ length: BLOCK + 1 }, (_, index) => entry(index + 1)));
    const [full] = blocks;
    blocks = appendToBlocks(blocks, [entry(BLOCK + 2)]);
    expect(blocks.map((block) => [block.first, block.comments.length])).toEqual([[1, BLOCK], [BLOCK + 1, 2]]);
    expect(blocks[0]).toBe(full);
  });
});
