import { type Entry, MarkKind } from "@yitang/sdk";
import { describe, expect, it } from "vitest";
import { type Choice, OPTION_MOST, QUESTION_MOST, describePoll, judgeOptions, judgeQuestion, learnChoice } from "../src/subjects/polls/poll";

const poll = (asOf: number, ...votes: number[]): Entry => ({
  seq: 5,
  mseq: 5,
  timeMs: 0,
  author: 9,
  kind: { case: "poll", question: "同意吗？", options: ["同意", "不同意", "再议"] },
  marks: { asOf, counts: votes.map((count, option) => ({ mark: MarkKind.VOTE, value: String(option), count })) },
});
/** The votes of each option, mine in brackets. */
const shown = (entry: Entry, choice?: Choice, pending?: number) =>
  describePoll(entry, choice, pending)
    ?.options.map(({ votes, isMine }) => (isMine ? `[${votes}]` : String(votes)))
    .join(" ");

describe("a poll", () => {
  it("counts a choice once, before it has arrived, when it has, and when it is counted", () => {
    expect(shown(poll(9, 3, 1, 0))).toBe("3 1 0");
    expect(shown(poll(9, 3, 1, 0), undefined, 1)).toBe("3 [2] 0");
    const first = learnChoice(undefined, { option: 1, asOf: 12, seq: 12 });
    expect(shown(poll(9, 3, 1, 0), first)).toBe("3 [2] 0");
    expect(shown(poll(12, 3, 2, 0), first)).toBe("3 [2] 0");
  });

  it("moves a vote that is changed, and never shows it twice", () => {
    const first = learnChoice(undefined, { option: 1, asOf: 12, seq: 12 });
    expect(shown(poll(12, 3, 2, 0), first, 2)).toBe("3 1 [1]");
    const second = learnChoice(first, { option: 2, asOf: 20, seq: 20 });
    expect(shown(poll(15, 4, 2, 0), second)).toBe("4 1 [1]");
    expect(shown(poll(20, 4, 1, 1), second)).toBe("4 1 [1]");
    // The log tells of it once more, and of the first again.
    for (const again of [learnChoice(second, { option: 2, asOf: 20, seq: 20 }), learnChoice(second, { option: 1, asOf: 12, seq: 12 })]) expect(again).toBe(second);
  });

  it("what the service says of a choice is counted already; what was chosen after that is newer", () => {
    const asked = learnChoice(undefined, { option: 0, asOf: 30, seq: 0 });
    expect(shown(poll(12, 3, 2, 0), asked)).toBe("[3] 2 0");
    const none = learnChoice(undefined, { asOf: 30, seq: 0 });
    expect(shown(poll(12, 3, 2, 0), none)).toBe("3 2 0");
    expect(shown(poll(12, 3, 2, 0), learnChoice(none, { option: 2, asOf: 31, seq: 31 }))).toBe("3 2 [1]");
  });

  it("has shares of the whole, and of nothing where nobody voted", () => {
    expect(describePoll(poll(9, 2, 1, 0), undefined, undefined)?.options.map(({ percent }) => percent)).toEqual([67, 33, 0]);
    expect(describePoll(poll(9), undefined, undefined)).toMatchObject({ total: 0, isClosed: false, options: [{ percent: 0 }, { percent: 0 }, { percent: 0 }] });
    const closed = poll(9, 1);
    closed.marks?.counts.push({ mark: MarkKind.CLOSED, value: "1", count: 1 });
    expect(describePoll(closed, undefined, undefined)).toMatchObject({ total: 1, isClosed: true });
  });
});

describe("the form of a poll", () => {
  it("says at each field what is wrong with it", () => {
    expect(judgeQuestion(" ")).toEqual({ fault: "empty" });
    expect(judgeQuestion("问".repeat(QUESTION_MOST))).toBeUndefined();
    expect(judgeQuestion(`${"问".repeat(QUESTION_MOST)}？`)).toEqual({ fault: "tooLong", now: QUESTION_MOST + 1 });
    expect(judgeOptions(["同意", " 同意 ", "", "🙂".repeat(OPTION_MOST), "再议\u0000"])).toEqual([
      undefined,
      { fault: "alike", to: 0 },
      { fault: "empty" },
      undefined,
      { fault: "forbidden" },
    ]);
  });
});
