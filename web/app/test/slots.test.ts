import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Slots } from "../src/kit/slots";

const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `c${from + index}`);

describe("the elements of a window", () => {
  it("stay with their rows, and those that are free are taken by the rows that come", () => {
    const slots = new Slots();
    expect(slots.place(keys(0, 4))).toEqual([1, 2, 3, 4]);
    expect(slots.place(keys(1, 5))).toEqual([2, 3, 4, 1]);
  });

  it("of a flood that has passed by altogether are taken in their order: none moves in the document", () => {
    const slots = new Slots();
    const before = slots.place(keys(0, 12));
    expect(slots.place(keys(160, 172))).toEqual(before);
  });

  it("never pass by the row that has the focus", () => {
    const slots = new Slots();
    slots.place(["c5", ...keys(20, 23)], "c5");
    // The window goes to the other side of it: its rows are made anew.
    expect(slots.place([...keys(0, 3), "c5"], "c5")).toEqual([5, 6, 7, 1]);
  });

  it("are each of one row, and a row that stays keeps its own, whatever comes and goes", () => {
    const window = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 15 }));
    fc.assert(
      fc.property(fc.array(window, { maxLength: 20 }), fc.integer({ min: 0, max: 60 }), (windows, fixed) => {
        const slots = new Slots();
        let before = new Map<string, number>();
        for (const [from, length] of windows) {
          const shown = keys(from, from + length);
          const placed = slots.place(shown, `c${fixed}`);
          expect(new Set(placed).size).toBe(shown.length);
          const now = new Map(shown.map((key, index) => [key, placed[index] ?? 0]));
          for (const [key, slot] of now) if (before.has(key)) expect(slot).toBe(before.get(key));
          before = now;
        }
      }),
    );
  });
});
