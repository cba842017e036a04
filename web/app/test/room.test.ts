import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { dropEdit, keepDraft, loadDraft, loadNew } from "../src/room/drafts";
import { Pace } from "../src/room/pace";
import { presenceLines } from "../src/room/presence";

describe("a draft", () => {
  beforeEach(() => {
    const kept = new Map<string, string>();
    vi.stubGlobal("localStorage", {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  it("is kept by person and conversation", () => {
    keepDraft(1, "a", { text: "写到一半", replyTo: 3, editing: 0 });
    expect(loadDraft(1, "a")).toEqual({ text: "写到一半", replyTo: 3, editing: 0 });
    expect(loadDraft(2, "a").text).toBe("");
    expect(loadDraft(1, "b").text).toBe("");
  });

  it("of a change is kept apart, and gives the new comment's back when it is done", () => {
    keepDraft(1, "a", { text: "新的", replyTo: 0, editing: 0 });
    keepDraft(1, "a", { text: "改一改", replyTo: 0, editing: 9 });
    expect(loadDraft(1, "a")).toEqual({ text: "改一改", replyTo: 0, editing: 9 });
    expect(loadNew(1, "a").text).toBe("新的");
    dropEdit(1, "a");
    expect(loadDraft(1, "a").text).toBe("新的");
  });

  it("that cannot be read is an empty one", () => {
    localStorage.setItem("yitang-draft:1:a", "{broken");
    expect(loadDraft(1, "a")).toEqual({ text: "", replyTo: 0, editing: 0 });
  });

  it("without a disk is no error", () => {
    vi.stubGlobal("localStorage", {
      getItem: () => {
        throw new Error("denied");
      },
      setItem: () => {
        throw new Error("full");
      },
      removeItem: () => undefined,
    });
    keepDraft(1, "a", { text: "x", replyTo: 0, editing: 0 });
    expect(loadDraft(1, "a").text).toBe("");
  });
});

describe("the pace of drawing", () => {
  const after = (perS: number) => {
    const pace = new Pace();
    pace.count(0, 0);
    for (let ms = 100; ms <= 5_000; ms += 100) pace.count(perS / 10, ms);
    return pace;
  };
  it("is every frame while it is quiet, and a few times a second in a flood", () => {
    expect(after(2).waitMs(false)).toBe(0);
    expect(after(40).waitMs(false)).toBeGreaterThan(0);
    expect(after(500).waitMs(false)).toBe(320);
    expect(after(500).waitMs(true)).toBe(500);
  });
  it("counts what came, and forgets it soon", () => {
    const pace = after(500);
    expect(pace.rate).toBeGreaterThan(450);
    expect(pace.rate).toBeLessThan(550);
    pace.count(0, 15_000);
    expect(pace.rate).toBeLessThan(1);
  });
});

describe("who is here", () => {
  const organisations = [
    { id: 1, name: "浙江省", parent: 0 },
    { id: 2, name: "杭州市", parent: 1 },
    { id: 3, name: "宁波市", parent: 1 },
    { id: 4, name: "西湖区", parent: 2 },
    { id: 5, name: "鄞州区", parent: 3 },
  ];
  const counts = [
    { organisation: 1, people: 9 },
    { organisation: 2, people: 3 },
    { organisation: 3, people: 5 },
    { organisation: 4, people: 2 },
    { organisation: 5, people: 0 },
  ];
  const names = (wanted = "", opened: number[] = []) =>
    presenceLines({ organisations, counts, opened: new Set(opened), wanted }).map((line) => `${line.depth} ${line.name} ${line.people}`);

  it("stands by organisation, the fullest first, the lowest level folded", () => {
    expect(names()).toEqual(["0 浙江省 9", "1 宁波市 5", "1 杭州市 3"]);
    expect(names("", [2])).toEqual(["0 浙江省 9", "1 宁波市 5", "1 杭州市 3", "2 西湖区 2"]);
  });
  it("is found by name, folded or not; where nobody is, nothing is", () => {
    expect(names("西湖")).toEqual(["2 西湖区 2"]);
    expect(names("鄞州")).toEqual([]);
  });
});
