import { ConsultationState, type Consultation, type ConsultationBrief } from "@yitang/sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Chunk, firstLoad } from "../build/budget";
import { earlyTags } from "../build/early";
import { BLOCK, type Block, appendToBlocks } from "../src/subjects/consultations/blocks";
import { dropEdit, keepDraft, loadDraft, loadNew } from "../src/room/drafts";
import { presenceLines } from "../src/room/presence";
import { applyChanges, groupsOf, isCallDue } from "../src/subjects/consultations/groups";
import { Pace } from "../src/room/pace";
import { isNight, findScript } from "../src/subjects/displays/keep-alive";

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

const consultation = (id: string, change: Partial<Consultation> = {}) =>
  ({ id, title: id, organisation: 1, state: ConsultationState.SCHEDULED, opensMs: 0n, closesMs: 0n, version: 1, calledMs: 0n, ...change }) as Consultation;
const brief = (id: string, change: Partial<ConsultationBrief> = {}) => consultation(id, change as Partial<Consultation>) as unknown as ConsultationBrief;

describe("a list of consultations", () => {
  it("stands in groups: the nearest to come first, what has no time last; the latest past first", () => {
    const groups = groupsOf([
      consultation("past", { state: ConsultationState.CLOSED, closesMs: 5n }),
      consultation("by hand"),
      consultation("later", { opensMs: 9n }),
      consultation("open", { state: ConsultationState.OPEN }),
      consultation("soon", { opensMs: 3n }),
      consultation("paused", { state: ConsultationState.PAUSED }),
      consultation("latest", { state: ConsultationState.CLOSED, closesMs: 8n }),
    ]);
    expect(groups.map(({ name, consultations }) => [name, consultations.map((one) => one.id)])).toEqual([
      ["open", ["open", "paused"]],
      ["coming", ["soon", "later", "by hand"]],
      ["past", ["latest", "past"]],
    ]);
  });

  it("is changed in place by what is newer, and not by what is older", () => {
    const all = [consultation("a", { version: 3 }), consultation("b", { version: 3 }), consultation("c")];
    const now = applyChanges(all, [brief("a", { version: 4, title: "新题" }), brief("b", { version: 2, title: "旧题" })], ["c"]);
    expect(now?.map((one) => [one.id, one.title])).toEqual([["a", "新题"], ["b", "b"]]);
  });

  it("is listed anew where one comes that it does not know", () => {
    expect(applyChanges([consultation("a")], [brief("b")], [])).toBeUndefined();
  });

  it("calls for what is about to begin or under way, for half an hour", () => {
    const nowMs = 10_000_000;
    const called = (change: Partial<ConsultationBrief>) => isCallDue(brief("a", { calledMs: BigInt(nowMs - 60_000), ...change }), nowMs);
    expect(called({})).toBe(true);
    expect(called({ state: ConsultationState.OPEN })).toBe(true);
    expect(called({ state: ConsultationState.CLOSED })).toBe(false);
    expect(called({ calledMs: 0n })).toBe(false);
    expect(called({ calledMs: BigInt(nowMs - 31 * 60_000) })).toBe(false);
  });
});

describe("a document", () => {
  it("grows by blocks, and a full block is never made again", () => {
    const entry = (seq: number) => ({ seq, mseq: seq, timeMs: 0, author: 1, kind: { case: "comment" as const, text: "", replyTo: 0, version: 0 } });
    let blocks: Block[] = [];
    blocks = appendToBlocks(blocks, Array.from({ length: BLOCK + 1 }, (_, index) => entry(index + 1)));
    const [full] = blocks;
    blocks = appendToBlocks(blocks, [entry(BLOCK + 2)]);
    expect(blocks.map((block) => [block.first, block.comments.length])).toEqual([[1, BLOCK], [BLOCK + 1, 2]]);
    expect(blocks[0]).toBe(full);
  });
});

describe("a screen that nobody attends", () => {
  it("knows another version by the name of its script", () => {
    expect(findScript('<script type="module" crossorigin src="/assets/index-abc.js"></script>')).toBe("/assets/index-abc.js");
    expect(findScript("<h1>502</h1>")).toBe("");
  });
  it("starts fresh in the night, once", () => {
    const night = new Date(2026, 4, 1, 4, 30).getTime();
    expect(isNight(night, night - 86_400_000)).toBe(true);
    expect(isNight(night, night - 60_000)).toBe(false);
    expect(isNight(new Date(2026, 4, 1, 12, 0).getTime(), 0)).toBe(false);
  });
});

describe("the budget of script", () => {
  const chunk = (fileName: string, imports: string[] = [], facadeModuleId: string | null = null): Chunk => ({
    fileName,
    code: "",
    imports,
    isEntry: fileName === "index.js",
    facadeModuleId,
  });
  it("counts the entry, the page, and what both import; not what comes after", () => {
    const chunks = [chunk("index.js", ["vue.js"]), chunk("vue.js"), chunk("Room.js", ["virtua.js", "vue.js"], "/src/subjects/consultations/RoomPage.vue"), chunk("virtua.js"), chunk("Sheet.js")];
    expect(firstLoad(chunks, /RoomPage\.vue$/).map((one) => one.fileName)).toEqual(["index.js", "vue.js", "Room.js", "virtua.js"]);
    expect(() => firstLoad(chunks, /Hall\.vue$/)).toThrow();
  });
  it("what comes with the page is named in the document once", () => {
    const room = { ...chunk("Room.js", ["vue.js"], "/src/subjects/consultations/RoomPage.vue"), viteMetadata: { importedCss: new Set(["Room.css"]) } };
    const chunks = [chunk("index.js", ["vue.js"]), chunk("vue.js"), room, chunk("Sheet.js")];
    const html = '<script type="module" src="/index.js"></script><link rel="modulepreload" href="/vue.js">';
    expect(earlyTags(html, chunks, /RoomPage\.vue$/)).toEqual([
      '<link rel="preload" as="style" crossorigin href="/Room.css">',
      '<link rel="modulepreload" crossorigin href="/Room.js">',
    ]);
  });
});
