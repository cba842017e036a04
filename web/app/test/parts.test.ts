// What subjects register for rooms.
import { type Entry } from "@yitang/sdk";
import { describe, expect, it } from "vitest";
import { registerRoomParts, rowKindOf, commentActions, type RowKind } from "../src/room/parts";
import { RowBook } from "../src/room/rows";

const component = {};

describe("parts of a room", () => {
  it("of two subjects stand side by side; one kind of event has one row", () => {
    const action = { label: () => "hide", isOffered: () => true };
    registerRoomParts({ rows: { hide: { component } }, commentActions: [action] });
    registerRoomParts({ rows: { recall: { component } } });
    expect([rowKindOf("hide")?.component, rowKindOf("recall")?.component, rowKindOf("edit")]).toEqual([component, component, undefined]);
    expect(commentActions).toEqual([action]);
    expect(() => registerRoomParts({ rows: { hide: { component } } })).toThrow(/registered twice/);
  });

  it("a kind's reader sees its events in their order, anew where the log is read anew, and says which have a row", () => {
    const created = (seq: number): Entry => ({ seq, mseq: 0, timeMs: 0, author: 9, kind: { case: "membersChanged", added: [seq], removed: [] } });
    let readers = 0;
    const kind: Pick<RowKind, "createReader"> = {
      createReader: () => {
        readers += 1;
        let seen = 0;
        return (entry) => ((seen += 1) % 2 === 1 ? { seen, seq: entry.seq } : undefined);
      },
    };
    const entries = [1, 2, 3].map(created);
    const book = new RowBook("c", 7, 0, (name) => (name === "membersChanged" ? kind : undefined));
    const log = (oldest: number, epoch = 1) => ({ epoch, oldest, delivered: 3, completeBefore: false, get: (seq: number) => entries[seq - 1] });
    const shown = () => book.rows.flatMap((row) => ("shown" in row ? [row.shown] : []));
    book.update(log(2));
    expect(shown()).toEqual([{ seen: 1, seq: 2 }]);
    book.update(log(1));
    expect(shown()).toEqual([{ seen: 1, seq: 1 }, { seen: 3, seq: 3 }]);
    expect(readers).toBe(2);
  });
});
