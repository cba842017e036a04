import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, Follower, Timeline } from "../src/index.js";
import { Entries } from "../src/list.js";

const comment = (seq: number, text = `text ${seq}`): Entry => ({ seq, mseq: seq, timeMs: 0, author: 7, kind: { case: "comment", text, replyTo: 0, version: 0, restored: 0 } });
const stretch = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => comment(first + index));

describe("a list of entries", () => {
  it("is what an array would be, and a view taken earlier never changes", () => {
    const acts = fc.array(fc.tuple(fc.constantFrom("append", "set", "older", "drop", "look"), fc.nat(2_000)), { maxLength: 60 });
    fc.assert(
      fc.property(acts, (done) => {
        const list = new Entries();
        const model = new Map<number, Entry>();
        let oldest = 10_000;
        let newest = 10_000;
        const looked: { view: ReturnType<Entries["view"]>; then: Entry[] }[] = [];
        const sorted = () => [...model.values()].sort((a, b) => a.seq - b.seq);
        const put = (entry: Entry) => {
          list.set(entry);
          model.set(entry.seq, entry);
        };
        for (const [act, size] of done) {
          if (act === "append") for (let count = 0; count < size % 700; count += 1) put(comment((newest += 1 + (size % 2))));
          else if (act === "set") {
            const all = sorted();
            const one = all[size % (all.length || 1)];
            if (one) put(comment(one.seq, "another"));
          } else if (act === "older") {
            const first = oldest - (size % 300);
            for (let seq = first; seq < oldest; seq += 1) put(comment(seq));
            oldest = first;
          } else if (act === "drop") {
            const seq = Math.min(oldest + size, newest);
            list.dropBefore(seq);
            for (const held of [...model.keys()]) if (held < seq) model.delete(held);
            oldest = Math.max(oldest, seq);
          } else looked.push({ view: list.view(), then: sorted() });
        }
        looked.push({ view: list.view(), then: sorted() });
        for (const { view, then } of looked) {
          expect([...view]).toEqual(then);
          expect(view.length).toBe(then.length);
          for (const index of [0, 1, 255, 256, then.length - 1, then.length, -1]) expect(view.at(index)).toBe(then[index]);
          for (const seq of [0, oldest, newest, 10_111]) {
            const place = then.findIndex((entry) => entry.seq >= seq);
            expect(view.indexOf(seq)).toBe(place < 0 ? then.length : place);
          }
        }
        for (const [index, { view, then }] of looked.entries()) {
          const before = looked[index - 1];
          if (!before) continue;
          const from = view.changedFrom(before.view);
          expect(then.slice(0, from)).toEqual(before.then.slice(0, from));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("after an event more, all of a long list but its end is what it was", () => {
    const timeline = new Timeline();
    for (const entry of stretch(1, 30_000)) timeline.apply(entry);
    const before = timeline.list();
    timeline.apply(comment(30_001));
    const after = timeline.list();
    expect(after.changedFrom(before)).toBe(30_000);
    expect(before.length).toBe(30_000);
    expect(timeline.list()).toBe(after);
    timeline.apply({ ...comment(30_002), kind: { case: "hide", target: 29_900, reason: "" } });
    expect(timeline.list().changedFrom(after)).toBe(29_899);
    expect(timeline.shown()).toBe(timeline.shown());
  });

  it("thousands of edits of one comment leave one text, and nothing of the others", () => {
    const timeline = new Timeline();
    timeline.apply(comment(1));
    for (let version = 1; version <= 20_000; version += 1) {
      timeline.apply({ ...comment(version + 1), kind: { case: "edit", target: 1, version, text: `edit ${version}` } });
    }
    expect(timeline.get(1)?.kind).toMatchObject({ text: "edit 20000", version: 20_000 });
    const worded = timeline.entries().filter(({ kind }) => kind.case === "edit" && kind.text !== "");
    expect(worded.map(({ seq }) => seq)).toEqual([20_001]);
  });
});

describe("a follower that trims", () => {
  const facts = { verdict: "fresh" as const, epoch: 1, headSeq: 0, headMseq: 0, readMseq: 0, tail: [], tailCompleteBefore: true };

  it("holds the newest, goes on where it stands, and takes the rest again in pages", () => {
    const follower = new Follower();
    follower.applySubscribed({ ...facts, seq: 0 });
    for (let first = 1; first < 30_000; first += 50) follower.applyBatch(1, first, stretch(first, first + 49));
    expect(follower.trim(2_000)).toBe(true);
    expect(follower.held).toBe(2_000);
    expect(follower.timeline.size).toBe(2_000);
    expect(follower.completeBefore).toBe(false);
    follower.applyBatch(1, 30_001, [comment(30_001)]);
    expect(follower.delivered).toBe(30_001);
    // A page asked for before the trim fits no more, and is passed over; one from here fits.
    follower.applyPage(1, stretch(1, 100), true, { seq: 30_001, mseq: 30_001 });
    expect(follower.oldest).toBe(28_001);
    while (!follower.completeBefore) {
      const last = follower.oldest - 1;
      follower.applyPage(1, stretch(Math.max(1, last - 199), last), last <= 200, { seq: 30_001, mseq: 30_001 });
    }
    expect(follower.timeline.list().length).toBe(30_001);
    expect([...follower.timeline.list()].map(({ seq }) => seq)).toEqual(stretch(1, 30_001).map(({ seq }) => seq));
  });
});
