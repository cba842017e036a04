import { ConsultationState, type Entry, Outbox, type Outgoing, Timeline } from "@yitang/sdk";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Log, RowBook, countGone, outgoingRows, rowIndex } from "../src/room/rows";
import { createStateReader } from "../src/subjects/consultations/state";

const ME = 7;
/** As consultations register their row, and the room its own. */
const kindOf = (kind: string) => (kind === "comment" ? {} : kind === "consultationChanged" ? { createReader: createStateReader } : undefined);
const comment = (seq: number, author: number, text: string, timeMs = 0): Entry => ({
  seq,
  mseq: seq,
  timeMs,
  author,
  kind: { case: "comment", text, replyTo: 0, version: 0, restored: 0 },
});
const state = (seq: number, now: ConsultationState): Entry => ({
  seq,
  mseq: 0,
  timeMs: 0,
  author: 0,
  kind: { case: "consultationChanged", state: now, version: seq, slowModeS: 0, reason: "" },
});
function written(text: string, change: Partial<Outgoing> = {}): Outgoing {
  const post = { clientId: text, person: ME, conversation: "c", createdMs: 0, content: { case: "comment" as const, text, replyTo: 0 } };
  return { ...new Outbox().add(post), ...change };
}
const DAY_MS = 86_400_000;
const edit = (seq: number, target: number, text: string): Entry => ({
  seq,
  mseq: 0,
  timeMs: 0,
  author: 9,
  kind: { case: "edit", target, text, version: seq },
});
/** What a follower holds of these events. */
function log(entries: Entry[], completeBefore = false, epoch = 1): Log {
  const timeline = new Timeline();
  for (const entry of entries) timeline.apply(entry);
  const seqs = entries.map((entry) => entry.seq);
  return { epoch, oldest: Math.min(...seqs), delivered: Math.max(...seqs), completeBefore, get: (seq) => timeline.get(seq) };
}
function rows(entries: Entry[], { unreadAfter = 0, completeBefore = false } = {}) {
  const book = new RowBook("c", ME, unreadAfter, kindOf);
  book.update(log(entries, completeBefore));
  return book.rows;
}
const keysOf = (list: { key: string }[]) => list.map((row) => row.key);
function mine(outgoing: Outgoing[], entries: Entry[], writtenAt: [string, number][]) {
  return keysOf(outgoingRows(entries.length === 0 ? [] : rows(entries), outgoing, ME, new Map(writtenAt)));
}

describe("rows", () => {
  it("a comment whose event came before its receipt is shown once", () => {
    const outgoing = [written("同意", { state: "sending" })];
    expect(mine(outgoing, [comment(5, ME, "同意")], [["同意", 4]])).toEqual([]);
    expect(mine(outgoing, [comment(4, ME, "同意")], [["同意", 4]])).toEqual(["o同意"]);
    expect(mine(outgoing, [comment(5, 9, "同意")], [["同意", 4]])).toEqual(["o同意"]);
  });

  it("one event stands for one post, though two say the same", () => {
    const outgoing = [written("同意", { clientId: "a", state: "sending" }), written("同意", { clientId: "b" })];
    expect(mine(outgoing, [comment(1, ME, "同意")], [["a", 0], ["b", 0]])).toEqual(["ob"]);
  });

  it("a refused post always shows", () => {
    expect(mine([written("x", { state: "refused" })], [comment(1, ME, "x")], [["x", 0]])).toEqual(["ox"]);
  });

  it("a pause in the talk, another day, the unread and changes of state have lines; a change of rules has none", () => {
    const entries = [
      state(1, ConsultationState.SCHEDULED),
      state(2, ConsultationState.OPEN),
      comment(3, 9, "a"),
      state(4, ConsultationState.OPEN),
      comment(5, 9, "b", 400_000),
      state(6, ConsultationState.PAUSED),
      state(7, ConsultationState.OPEN),
      comment(8, 9, "c", 400_000 + DAY_MS),
    ];
    const found = rows(entries, { unreadAfter: 3, completeBefore: true });
    expect(keysOf(found)).toEqual(["start", "d2", "e2", "c3", "unread", "t5", "c5", "e6", "e7", "d8", "c8"]);
    expect(found.find((row) => row.key === "e7")).toMatchObject({ kind: "event", shown: { isResumed: true } });
  });

  it("what one has written is not unread", () => {
    expect(keysOf(rows([comment(1, 9, "a"), comment(2, ME, "b"), comment(3, 9, "c")], { unreadAfter: 1 }))).toEqual(["d1", "c1", "c2", "unread", "c3"]);
  });

  it("brought up to date piece by piece, they are as if made at once; an edit changes its row alone", () => {
    const one = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 900_000 }));
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 12 }), (what, steps) => {
        let timeMs = Date.UTC(2026, 0, 1);
        const entries = what.map(([kind, passed], index): Entry => {
          const seq = index + 1;
          timeMs += passed;
          if (kind === 0) return { ...state(seq, ConsultationState.PAUSED), timeMs };
          if (kind === 1) return { ...state(seq, ConsultationState.OPEN), timeMs };
          if (kind === 2 && index > 0) return { ...edit(seq, Math.max(1, index - 3), `改 ${seq}`), timeMs };
          return comment(seq, kind, `第 ${seq} 条`, timeMs);
        });
        const book = new RowBook("c", ME, 2, kindOf);
        let taken = 0;
        for (const step of [...steps, entries.length]) {
          taken = Math.min(entries.length, taken + step);
          book.update(log(entries.slice(0, taken)));
        }
        expect(book.rows).toEqual(rows(entries, { unreadAfter: 2 }));
      }),
    );
  });

  it("nothing new is no change; older ones, and another log, are taken up anew", () => {
    const entries = [1, 2, 3, 4].map((seq) => comment(seq, 9, String(seq)));
    const book = new RowBook("c", ME, 0, kindOf);
    expect(book.update(log(entries.slice(2)))).toBe(true);
    expect(book.update(log(entries.slice(2)))).toBe(false);
    expect(book.update(log(entries, true))).toBe(true);
    expect(keysOf(book.rows)).toEqual(["start", "d1", "c1", "c2", "c3", "c4"]);
    expect(book.update(log([comment(1, 9, "other")], true, 2))).toBe(true);
    expect(keysOf(book.rows)).toEqual(["start", "d1", "c1"]);
  });

  it("what is not held any more goes from the front, and no other row is touched", () => {
    const entries = Array.from({ length: 9 }, (_, index) => comment(index + 1, 9, String(index)));
    const book = new RowBook("c", ME, 0, kindOf);
    book.update(log(entries.slice(0, 8), true));
    const kept = book.rows.at(-1);
    expect(book.update({ ...log(entries), oldest: 6 })).toBe(true);
    expect(keysOf(book.rows)).toEqual(["c6", "c7", "c8", "c9"]);
    expect(book.rows.at(-2)).toBe(kept);
  });

  it("how many rows went from the front is known, whatever came at the end", () => {
    const entries = Array.from({ length: 9 }, (_, index) => comment(index + 1, 9, String(index)));
    const book = new RowBook("c", ME, 0, kindOf);
    book.update(log(entries.slice(0, 6), true));
    const before = book.rows.slice();
    book.update({ ...log(entries), oldest: 4 });
    // The beginning, the day, and three comments.
    expect(countGone(before, book.rows)).toBe(5);
    expect(countGone(before, before)).toBe(0);
    expect(countGone(before, [])).toBe(0);
  });

  it("an event's row is found by its seq, whatever stands between", () => {
    const found = rows([state(1, ConsultationState.OPEN), comment(2, 9, "a"), comment(5, 9, "b", DAY_MS), state(6, ConsultationState.CLOSED)], {
      completeBefore: true,
    });
    for (const seq of [2, 5]) expect(found[rowIndex(found, seq)]).toMatchObject({ kind: "comment", seq });
    for (const seq of [1, 6]) expect(found[rowIndex(found, seq)]).toMatchObject({ kind: "event", seq });
    for (const seq of [0, 3, 9]) expect(rowIndex(found, seq)).toBe(-1);
  });
});
