import { ConsultationState, type Entry, Outbox, type Outgoing } from "@yitang/sdk";
import { describe, expect, it } from "vitest";
import { piecesOf, rowsOf } from "../src/state/rows";

const ME = 7;
const comment = (seq: number, author: number, text: string, timeMs = 0): Entry => ({
  seq,
  mseq: seq,
  timeMs,
  author,
  kind: { case: "comment", text, replyTo: 0, version: 0 },
});
const state = (seq: number, now: ConsultationState): Entry => ({
  seq,
  mseq: 0,
  timeMs: 0,
  author: 0,
  kind: { case: "consultationChanged", state: now, version: seq, slowModeS: 0 },
});
function written(text: string, change: Partial<Outgoing> = {}): Outgoing {
  const post = { clientId: text, person: ME, conversation: "c", createdMs: 0, content: { case: "comment" as const, text, replyTo: 0 } };
  return { ...new Outbox().add(post), ...change };
}
const base = { entries: [] as Entry[], outgoing: [] as Outgoing[], me: ME, unreadAfter: 0, writtenAt: new Map<string, number>(), completeBefore: false };
const keys = (input: Partial<typeof base>) => rowsOf({ ...base, ...input }).map((row) => row.key);

describe("rows", () => {
  it("a comment whose event came before its receipt is shown once", () => {
    const outgoing = [written("同意", { state: "sending" })];
    expect(keys({ outgoing, entries: [comment(5, ME, "同意")], writtenAt: new Map([["同意", 4]]) })).toEqual(["c5"]);
    expect(keys({ outgoing, entries: [comment(4, ME, "同意")], writtenAt: new Map([["同意", 4]]) })).toEqual(["c4", "o同意"]);
    expect(keys({ outgoing, entries: [comment(5, 9, "同意")], writtenAt: new Map([["同意", 4]]) })).toEqual(["c5", "o同意"]);
  });

  it("one event stands for one post, though two say the same", () => {
    const outgoing = [written("同意", { clientId: "a", state: "sending" }), written("同意", { clientId: "b" })];
    const writtenAt = new Map([["a", 0], ["b", 0]]);
    expect(keys({ outgoing, entries: [comment(1, ME, "同意")], writtenAt })).toEqual(["c1", "ob"]);
  });

  it("a refused post always shows", () => {
    expect(keys({ outgoing: [written("x", { state: "refused" })], entries: [comment(1, ME, "x")], writtenAt: new Map([["x", 0]]) })).toEqual(["c1", "ox"]);
  });

  it("a pause in the talk, the unread and changes of state have lines; a change of rules has none", () => {
    const entries = [
      state(1, ConsultationState.SCHEDULED),
      state(2, ConsultationState.OPEN),
      comment(3, 9, "a"),
      state(4, ConsultationState.OPEN),
      comment(5, 9, "b", 400_000),
      state(6, ConsultationState.PAUSED),
      state(7, ConsultationState.OPEN),
    ];
    expect(keys({ entries, unreadAfter: 3, completeBefore: true })).toEqual(["start", "s2", "c3", "unread", "t5", "c5", "s6", "s7"]);
    const last = rowsOf({ ...base, entries }).at(-1);
    expect(last).toMatchObject({ kind: "state", resumed: true });
  });

  it("links are made of web addresses only, and end where the sentence does", () => {
    expect(piecesOf("见 https://www.zj.gov.cn/a?b=1。好")).toEqual([
      { text: "见 " },
      { text: "https://www.zj.gov.cn/a?b=1", href: "https://www.zj.gov.cn/a?b=1" },
      { text: "。好" },
    ]);
    expect(piecesOf("javascript:alert(1) <b>粗</b>")).toEqual([{ text: "javascript:alert(1) <b>粗</b>" }]);
  });
});
