import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Inbox } from "../src/index.js";

const run = (first: number, last: number) => ({ first, items: Array.from({ length: last - first + 1 }, (_, index) => first + index) });

describe("Inbox", () => {
  it("a hole holds back what follows until it is filled", () => {
    const inbox = new Inbox<number>(2, 100);
    expect(inbox.offer(run(5, 6))).toEqual({ kind: "hole", from: 3, to: 4 });
    expect(inbox.offer(run(8, 8))).toEqual({ kind: "hole", from: 3, to: 4 });
    expect(inbox.offer(run(3, 4))).toEqual({ kind: "ready", first: 3, items: [3, 4, 5, 6] });
    expect(inbox.hole).toEqual({ from: 7, to: 7 });
    expect(inbox.offer(run(6, 7))).toEqual({ kind: "ready", first: 7, items: [7, 8] });
    expect(inbox.waiting).toBe(0);
  });

  it("what waits is bounded", () => {
    const inbox = new Inbox<number>(0, 4);
    inbox.offer(run(3, 5));
    expect(inbox.offer(run(7, 9))).toEqual({ kind: "overflow", from: 1 });
    expect(inbox.waiting).toBe(0);
    expect(inbox.offer(run(1, 9))).toMatchObject({ kind: "ready", first: 1 });
  });

  it("whatever the order, each item comes once and in order", () => {
    const runs = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 8 })), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(runs, (pairs) => {
        const inbox = new Inbox<number>(0, 200);
        const seen: number[] = [];
        for (const [first, more] of [...pairs, [1, 70] as const]) {
          const offer = inbox.offer(run(first, first + more));
          if (offer.kind === "ready") seen.push(...offer.items);
          expect(inbox.waiting).toBeLessThanOrEqual(200);
        }
        expect(seen).toEqual(run(1, inbox.delivered).items);
        expect(inbox.waiting).toBe(0);
      }),
    );
  });
});
