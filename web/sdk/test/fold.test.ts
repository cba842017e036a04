import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, MarkKind, type Marks, Timeline, Why, fold, countMarks } from "../src/index.js";

const at = (seq: number, author: number, kind: Entry["kind"]): Entry => ({ seq, mseq: seq, timeMs: 0, author, kind });
const comment = (seq: number, text: string) => at(seq, 7, { case: "comment", text, replyTo: 0, version: 0, restored: 0 });
const edit = (seq: number, target: number, version: number, text: string) => at(seq, 7, { case: "edit", target, version, text });
const recall = (seq: number, target: number) => at(seq, 7, { case: "recall", target, reason: "" });
const hide = (seq: number, target: number) => at(seq, 9, { case: "hide", target, reason: "rude" });
const unhide = (seq: number, target: number, version: number, text: string) => at(seq, 9, { case: "unhide", target, version, text, reason: "" });
const poll = (seq: number) => at(seq, 7, { case: "poll", question: `question ${seq}`, options: ["a", "b", "c"] });
const leave = (entry: Entry, target: number, mark: MarkKind, value: string, replaces: string): Entry => ({ ...entry, leaves: { target, mark, value, replaces } });
const vote = (seq: number, person: number, target: number, option: number, replaces = "") =>
  leave(at(seq, person, { case: "vote", target, option }), target, MarkKind.VOTE, String(option), replaces);
const close = (seq: number, target: number) => leave(at(seq, 9, { case: "pollClosed", target }), target, MarkKind.CLOSED, "1", "");

/** As fold_page in sequence/src/fold.rs: all changes, by seq, act on all events. */
function foldPage(events: Entry[], changes: Entry[]): Entry[] {
  return events.map((event) => changes.reduce(fold, event));
}

/** A log as the server makes them: only what stands is edited, hidden or recalled, and only what is hidden is given back. */
const logs = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.nat(4), fc.nat(2)), { maxLength: 50 }).map((acts) => {
  interface Held {
    version: number;
    text: string;
    gone?: "hidden" | "recalled";
  }
  const held = new Map<number, Held>([1, 2, 3, 4].map((seq) => [seq, { version: 0, text: `text ${seq}` }]));
  const log = [...held].map(([seq, { text }]) => comment(seq, text));
  log.push(poll(5));
  const votes = new Map<number, string>();
  let isClosed = false;
  for (const [act, one, option] of acts) {
    const seq = log.length + 1;
    const target = 1 + (one % 4);
    const now = held.get(target) as Held;
    if (act === 1 && !now.gone) {
      Object.assign(now, { version: now.version + 1, text: `edit ${seq}` });
      log.push(edit(seq, target, now.version, now.text));
    } else if (act === 2 && now.gone !== "recalled") {
      now.gone = "recalled";
      log.push(recall(seq, target));
    } else if (act === 3 && !now.gone) {
      now.gone = "hidden";
      log.push(hide(seq, target));
    } else if (act === 4 && now.gone === "hidden") {
      delete now.gone;
      log.push(unhide(seq, target, now.version, now.text));
    } else if (act === 5 && !isClosed) {
      log.push(vote(seq, one, 5, option, votes.get(one)));
      votes.set(one, String(option));
    } else if (act === 6 && one === 0 && !isClosed) {
      isClosed = true;
      log.push(close(seq, 5));
    } else log.push(comment(seq, `text ${seq}`));
  }
  return log;
});

/** What is shown of comment 1 after these. */
function shown(events: Entry[]): string {
  const [entry] = foldPage([comment(1, "first")], [...events].sort((a, b) => a.seq - b.seq));
  const timeline = new Timeline();
  for (const event of [...events, comment(1, "first")]) timeline.apply(event);
  expect(timeline.get(1)).toEqual(entry);
  const kind = entry?.kind;
  if (kind?.case !== "comment") throw new Error("no comment");
  if (kind.gone) expect(kind).toMatchObject({ text: "", version: 0 });
  return kind.gone ? `${Why[kind.gone.why]} ${kind.gone.seq}` : `${kind.text} ${kind.version}`;
}

describe("fold", () => {
  it("never shows what was taken back", () => {
    const page = foldPage([comment(1, "first"), edit(2, 1, 1, "second"), edit(3, 1, 2, "third")], [edit(2, 1, 1, "second"), edit(3, 1, 2, "third"), hide(9, 1)]);
    expect(JSON.stringify(page)).not.toMatch(/first|second|third/);
    expect(page[0]?.kind).toMatchObject({ case: "comment", version: 0, gone: { why: Why.HIDDEN, by: 9, reason: "rude", seq: 9 } });
  });

  it("keeps the edit with the highest version, in whatever order edits come", () => {
    const timeline = new Timeline();
    for (const event of [edit(3, 1, 2, "third"), edit(2, 1, 1, "second"), comment(1, "first")]) timeline.apply(event);
    expect(timeline.get(1)?.kind).toMatchObject({ text: "third", version: 2 });
    expect(timeline.get(2)?.kind).toMatchObject({ text: "" });
  });

  it("shows what was given back until it is taken away again", () => {
    const [edited, hide5, back7, hide8, back9] = [edit(3, 1, 1, "second"), hide(5, 1), unhide(7, 1, 1, "second"), hide(8, 1), unhide(9, 1, 1, "second")];
    const third = edit(10, 1, 2, "third");
    const wordless = unhide(7, 1, 1, "");
    const table: [Entry[], string][] = [
      [[edited, hide5], "HIDDEN 5"],
      [[edited, hide5, back7], "second 1"],
      [[back7, hide5, edited], "second 1"],
      [[edited, hide5, back7, hide8], "HIDDEN 8"],
      [[hide8, back7, hide5, edited], "HIDDEN 8"],
      [[hide5, hide8, back9, back7, third], "third 2"],
      [[hide5, back7, recall(9, 1)], "RECALLED 9"],
      [[recall(9, 1), back7, hide5, edited], "RECALLED 9"],
      [[hide5, wordless], "HIDDEN 5"],
      [[third, hide5, wordless], "third 2"],
      [[hide5, third], "HIDDEN 5"],
    ];
    for (const [events, expected] of table) expect(shown(events)).toBe(expected);
  });

  it("drops words that were replaced or taken away later, and no others", () => {
    const words = "words";
    const table: [Entry, Entry, boolean][] = [
      [edit(3, 1, 1, words), edit(4, 1, 2, "newer"), true],
      [edit(4, 1, 2, words), edit(3, 1, 1, "older"), false],
      [edit(3, 1, 1, words), hide(5, 1), true],
      [edit(9, 1, 2, words), hide(5, 1), false],
      [edit(9, 1, 2, words), unhide(7, 1, 1, "older"), false],
      [edit(9, 1, 2, words), recall(10, 1), true],
      [unhide(7, 1, 1, words), edit(9, 1, 2, "newer"), true],
      [unhide(7, 1, 1, words), edit(3, 1, 1, "the same"), false],
      [unhide(7, 1, 1, words), hide(5, 1), false],
      [unhide(7, 1, 1, words), hide(8, 1), true],
      [unhide(7, 1, 1, words), unhide(9, 1, 1, "again"), true],
      [unhide(7, 1, 1, words), recall(8, 1), true],
      [unhide(7, 1, 1, words), hide(8, 2), false],
    ];
    for (const [earlier, later, isDropped] of table) {
      const folded = fold(earlier, later);
      expect(JSON.stringify(folded).includes(words)).toBe(!isDropped);
      expect(folded === earlier).toBe(!isDropped);
    }
  });

  it("gives back what was hidden before seqs stood in stones, unless its author recalled it", () => {
    const stone = (why: Why): Entry => at(1, 7, { case: "comment", text: "", replyTo: 0, version: 0, restored: 0, gone: { why, by: 9, reason: "", seq: 0 } });
    const hidden = fold(stone(Why.HIDDEN), unhide(7, 1, 0, "first"));
    expect(hidden.kind).toMatchObject({ text: "first", restored: 7 });
    expect(fold(hidden, hide(5, 1))).toBe(hidden);
    expect(fold(stone(Why.HIDDEN), edit(3, 1, 1, "second")).kind).toMatchObject({ text: "" });
    expect(fold(stone(Why.RECALLED), unhide(7, 1, 0, "first")).kind).toMatchObject({ text: "", gone: { why: Why.RECALLED } });
  });

  it("does not change the entries it is given", () => {
    const before = Object.freeze({ ...comment(1, "first"), kind: Object.freeze(comment(1, "first").kind) });
    expect(fold(before, recall(2, 1))).not.toBe(before);
    expect(fold(before, recall(2, 5))).toBe(before);
    const asked = Object.freeze({ ...poll(1), marks: Object.freeze({ asOf: 3, counts: [] }) });
    expect(fold(asked, vote(4, 8, 1, 0))).not.toBe(asked);
    expect(fold(asked, vote(3, 8, 1, 0))).toBe(asked);
  });
});

describe("marks", () => {
  const votesOf = (marks: Marks | undefined) => ["0", "1", "2"].map((value) => countMarks(marks, MarkKind.VOTE, value));
  const sum = (asOf: number, ...votes: number[]): Marks => ({
    asOf,
    counts: votes.map((count, value) => ({ mark: MarkKind.VOTE, value: String(value), count })).filter(({ count }) => count > 0),
  });

  it("count once, and what is replaced or taken off counts no more", () => {
    const timeline = new Timeline();
    const taken = leave(at(9, 8, { case: "unknown" }), 1, MarkKind.VOTE, "", "0");
    const steps: [Entry, number[]][] = [
      [poll(1), [0, 0, 0]],
      [vote(5, 8, 1, 1), [0, 1, 0]],
      [vote(6, 9, 1, 0), [1, 1, 0]],
      [vote(6, 9, 1, 0), [1, 1, 0]],
      [vote(8, 8, 1, 0, "1"), [2, 0, 0]],
      [vote(5, 8, 1, 1), [2, 0, 0]],
      [taken, [1, 0, 0]],
      [close(10, 1), [1, 0, 0]],
    ];
    for (const [event, expected] of steps) {
      timeline.apply(event);
      expect(votesOf(timeline.get(1)?.marks)).toEqual(expected);
    }
    expect(timeline.get(1)?.marks).toMatchObject({ asOf: 10 });
    expect(countMarks(timeline.get(1)?.marks, MarkKind.CLOSED, "1")).toBe(1);
    // A row of the list is the entry as it stands.
    expect(timeline.list().at(0)).toBe(timeline.get(1));
  });

  it("a newer summary takes the place of an older and of what it counts", () => {
    const timeline = new Timeline();
    for (const event of [vote(9, 8, 1, 1), vote(7, 9, 1, 1)]) timeline.apply(event);
    timeline.apply({ ...poll(1), marks: sum(7, 4, 1) });
    timeline.apply({ ...poll(1), marks: sum(3, 2) });
    timeline.apply(vote(7, 9, 1, 1));
    expect(timeline.get(1)?.marks).toEqual(sum(9, 4, 2));
  });
});

/** In another order. */
function shuffle<T>(items: T[], order: number[]): T[] {
  const ranked = items.map((item, index) => ({ item, rank: order[index % order.length] ?? 0 }));
  return ranked.sort((a, b) => a.rank - b.rank).map(({ item }) => item);
}

describe("Timeline", () => {
  it("a snapshot and what follows it give the whole, in whatever order the events come", () => {
    fc.assert(
      fc.property(logs, fc.nat(60), fc.array(fc.nat(), { minLength: 120, maxLength: 120 }), (log, cutAt, order) => {
        const cut = Math.min(cutAt, log.length);
        const snapshot = foldPage(log.slice(0, cut), log.slice(0, cut));
        const pieced = new Timeline();
        for (const event of shuffle([...log.slice(cut), ...snapshot], order)) pieced.apply(event);
        expect(pieced.entries()).toEqual(foldPage(log, log));
        expect(pieced.comments().map((entry) => entry.seq)).toEqual(log.filter((entry) => entry.kind.case === "comment").map((entry) => entry.seq));
      }),
      { numRuns: 500 },
    );
  });

  it("events that come twice, in another order and of an older snapshot, change nothing", () => {
    fc.assert(
      fc.property(logs, fc.nat(60), fc.array(fc.nat(), { minLength: 180, maxLength: 180 }), (log, cutAt, order) => {
        const cut = Math.min(cutAt, log.length);
        const snapshot = foldPage(log.slice(0, cut), log.slice(0, cut));
        const timeline = new Timeline();
        for (const event of log) timeline.apply(event);
        const whole = timeline.entries();
        expect(whole).toEqual(foldPage(log, log));
        for (const event of shuffle([...snapshot, ...log], order)) timeline.apply(event);
        expect(timeline.entries()).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  it("what was hidden and given back thousands of times costs what one costs", () => {
    const timeline = new Timeline();
    timeline.apply(comment(1, "first"));
    for (let seq = 2; seq < 20_000; seq += 2) {
      timeline.apply(hide(seq, 1));
      timeline.apply(unhide(seq + 1, 1, 0, "first"));
    }
    expect(timeline.get(1)?.kind).toMatchObject({ text: "first", restored: 19_999 });
    expect(timeline.entries().filter(({ kind }) => kind.case === "unhide" && kind.text !== "")).toHaveLength(1);
  });
});
