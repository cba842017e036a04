import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, Timeline, Why, fold } from "../src/index.js";

const at = (seq: number, author: number, kind: Entry["kind"]): Entry => ({ seq, mseq: seq, timeMs: 0, author, kind });
const comment = (seq: number, text: string) => at(seq, 7, { case: "comment", text, replyTo: 0, version: 0 });
const edit = (seq: number, target: number, version: number, text: string) => at(seq, 7, { case: "edit", target, version, text });
const recall = (seq: number, target: number) => at(seq, 7, { case: "recall", target, reason: "" });
const hide = (seq: number, target: number) => at(seq, 9, { case: "hide", target, reason: "rude" });

/** As fold_page in sequence/src/fold.rs: all changes act on all events. */
function foldPage(events: Entry[], changes: Entry[]): Entry[] {
  return events.map((event) => changes.reduce(fold, event));
}

/** A log as the server makes them: no change of what is gone. */
const logs = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 4 })), { maxLength: 30 }).map((kinds) => {
  const versions = new Map<number, number>();
  const gone = new Set<number>();
  const log = [1, 2, 3, 4].map((seq) => comment(seq, `text ${seq}`));
  for (const [kind, target] of kinds) {
    const seq = log.length + 1;
    if (kind === 1 && !gone.has(target)) {
      const version = (versions.get(target) ?? 0) + 1;
      versions.set(target, version);
      log.push(edit(seq, target, version, `edit ${seq}`));
    } else if (kind === 2 && !gone.has(target)) {
      gone.add(target);
      log.push(recall(seq, target));
    } else if (kind === 3 && !gone.has(target)) {
      gone.add(target);
      log.push(hide(seq, target));
    } else log.push(comment(seq, `text ${seq}`));
  }
  return log;
});

describe("fold", () => {
  it("never shows what was taken back", () => {
    const page = foldPage([comment(1, "first"), edit(2, 1, 1, "second"), edit(3, 1, 2, "third")], [edit(2, 1, 1, "second"), edit(3, 1, 2, "third"), hide(9, 1)]);
    expect(JSON.stringify(page)).not.toMatch(/first|second|third/);
    expect(page[0]?.kind).toMatchObject({ case: "comment", version: 0, gone: { why: Why.HIDDEN, by: 9, reason: "rude" } });
  });

  it("keeps the edit with the highest version, in whatever order edits come", () => {
    const timeline = new Timeline();
    for (const event of [edit(3, 1, 2, "third"), edit(2, 1, 1, "second"), comment(1, "first")]) timeline.apply(event);
    expect(timeline.get(1)?.kind).toMatchObject({ text: "third", version: 2 });
    expect(timeline.get(2)?.kind).toMatchObject({ text: "" });
  });

  it("does not change the entries it is given", () => {
    const before = Object.freeze({ ...comment(1, "first"), kind: Object.freeze(comment(1, "first").kind) });
    expect(fold(before, recall(2, 1))).not.toBe(before);
    expect(fold(before, recall(2, 5))).toBe(before);
  });
});

describe("Timeline", () => {
  it("a snapshot and what follows it give the whole, in whatever order the events come", () => {
    fc.assert(
      fc.property(logs, fc.nat(40), fc.array(fc.nat(), { minLength: 80, maxLength: 80 }), (log, cutAt, order) => {
        const cut = Math.min(cutAt, log.length);
        const snapshot = foldPage(log.slice(0, cut), log.slice(0, cut));
        const rest = [...log.slice(cut), ...snapshot]
          .map((event, index) => ({ event, rank: order[index] ?? 0 }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ event }) => event);
        const pieced = new Timeline();
        for (const event of rest) pieced.apply(event);
        expect(pieced.entries()).toEqual(foldPage(log, log));
        expect(pieced.comments().map((entry) => entry.seq)).toEqual(log.filter((entry) => entry.kind.case === "comment").map((entry) => entry.seq));
      }),
    );
  });

  it("events that come twice change nothing", () => {
    fc.assert(
      fc.property(logs, (log) => {
        const once = new Timeline();
        const twice = new Timeline();
        for (const event of log) once.apply(event);
        for (const event of [...log, ...log]) twice.apply(event);
        expect(twice.entries()).toEqual(once.entries());
      }),
    );
  });
});
