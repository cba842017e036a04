import "fake-indexeddb/auto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IndexedDbStore, Outbox, type Outgoing, RefusalCode, RefusalError, SafeStore } from "../src/index.js";

const refusal = (code: RefusalCode, wait = 0) => new RefusalError(code, "不行。", "No.", wait);
const post = (clientId: string, conversation = "a", createdMs = 0) => ({
  clientId,
  person: 7,
  conversation,
  createdMs,
  content: { case: "comment" as const, text: clientId, replyTo: 0 },
});

const kept = (one: ReturnType<typeof post>): Outgoing => ({ ...one, state: "waiting", seq: 0, notBeforeMs: 0, tries: 0 });
/** The order in which all of one conversation goes out, where each is answered at once. */
function goesOut(outbox: Outbox): string[] {
  const order: string[] = [];
  for (let [sent] = outbox.takeSendable(0); sent; [sent] = outbox.takeSendable(0)) {
    order.push(sent.clientId);
    outbox.applyReceipt(sent.clientId, order.length, false);
  }
  return order;
}

describe("Outbox", () => {
  it("what one person says in a conversation stays in the order it was said", () => {
    const outbox = new Outbox();
    for (const [id, conversation] of [["1", "a"], ["2", "a"], ["3", "b"]] as const) outbox.add(post(id, conversation));
    expect(outbox.takeSendable(0).map((sent) => sent.clientId)).toEqual(["1", "3"]);
    expect(outbox.takeSendable(0)).toEqual([]);
    outbox.applyReceipt("1", 10, false);
    expect(outbox.takeSendable(0).map((sent) => sent.clientId)).toEqual(["2"]);
  });

  it("a post that must wait holds back those after it", () => {
    const outbox = new Outbox();
    outbox.add(post("1"));
    outbox.add(post("2"));
    outbox.takeSendable(0);
    outbox.applyRefusal("1", refusal(RefusalCode.SLOW_MODE, 7_000), 100);
    expect(outbox.get("1")).toMatchObject({ state: "waiting", notBeforeMs: 7_100 });
    expect(outbox.takeSendable(5_000)).toEqual([]);
    expect(outbox.takeSendable(7_100).map((sent) => sent.clientId)).toEqual(["1"]);
  });

  it("a refusal for good is kept with its reason, and does not hold back the next", () => {
    const outbox = new Outbox();
    outbox.add(post("1"));
    outbox.add(post("2"));
    outbox.takeSendable(0);
    outbox.applyRefusal("1", refusal(RefusalCode.CLOSED), 0);
    expect(outbox.get("1")).toMatchObject({ state: "refused", refusal: { messageZh: "不行。" } });
    expect(outbox.takeSendable(0).map((sent) => sent.clientId)).toEqual(["2"]);
    outbox.retry("1");
    outbox.applyReceipt("2", 4, false);
    expect(outbox.takeSendable(0)[0]).toMatchObject({ clientId: "1", state: "sending", tries: 2 });
  });

  it("what a store had kept goes in its place among what is here: the newest of another tab never before older ones", () => {
    const outbox = new Outbox();
    for (const [id, at] of [["mine 1", 10], ["mine 2", 30]] as const) outbox.add(post(id, "a", at));
    outbox.load([post("theirs 2", "a", 40), post("mine 2", "a", 30), post("theirs 1", "a", 20)].map(kept));
    expect(outbox.list().map(({ clientId }) => clientId)).toEqual(["mine 1", "theirs 1", "mine 2", "theirs 2"]);
    outbox.put(kept(post("told late", "a", 25)));
    expect(goesOut(outbox)).toEqual(["mine 1", "theirs 1", "told late", "mine 2", "theirs 2"]);
  });

  it("of one moment, they stay in the order they came", () => {
    const outbox = new Outbox();
    for (const id of ["b", "a"]) outbox.put(kept(post(id, "a", 5)));
    outbox.load(["d", "c"].map((id) => kept(post(id, "a", 5))));
    expect(goesOut(outbox)).toEqual(["b", "a", "d", "c"]);
  });

  it("what is on the line is answered before an older one that was found late goes out", () => {
    const outbox = new Outbox();
    outbox.add(post("new", "a", 20));
    outbox.add(post("elsewhere", "b", 20));
    outbox.takeSendable(0);
    outbox.load([kept(post("old", "a", 10))]);
    expect(outbox.get("new")).toMatchObject({ state: "sending", tries: 1 });
    expect(outbox.takeSendable(0)).toEqual([]);
    outbox.applyReceipt("new", 1, false);
    expect(outbox.takeSendable(0).map(({ clientId }) => clientId)).toEqual(["old"]);
  });

  it("a clock that is put back changes no order, over a reload neither", () => {
    const outbox = new Outbox();
    for (const [id, at] of [["1", 86_400_000], ["2", 5], ["3", 6]] as const) outbox.add(post(id, "a", at));
    const again = new Outbox();
    again.load(outbox.list().reverse());
    expect(goesOut(again)).toEqual(["1", "2", "3"]);
  });

  it("whatever happens, each post ends shown once or refused, under one client_id", () => {
    const events = fc.array(fc.constantFrom("line", "later", "refuse", "receipt"), { maxLength: 60 });
    fc.assert(
      fc.property(events, (happened) => {
        const outbox = new Outbox();
        const ids = ["1", "2", "3"];
        for (const id of ids) outbox.add(post(id));
        const receipts = new Map<string, number>();
        let now = 0;
        for (const what of [...happened, "receipt", "receipt", "receipt"]) {
          now += 60_000;
          const [sent] = outbox.takeSendable(now);
          if (!sent) continue;
          if (what === "line") outbox.returnAllUnanswered();
          else if (what === "later") outbox.applyRefusal(sent.clientId, refusal(RefusalCode.OVERLOADED, 1_000), now);
          else if (what === "refuse") outbox.applyRefusal(sent.clientId, refusal(RefusalCode.MUTED), now);
          else {
            receipts.set(sent.clientId, (receipts.get(sent.clientId) ?? 0) + 1);
            outbox.applyReceipt(sent.clientId, 1, false);
          }
        }
        for (const id of ids) {
          const state = outbox.get(id)?.state;
          expect(["shown", "refused"]).toContain(state);
          expect(receipts.get(id) ?? 0).toBe(state === "shown" ? 1 : 0);
        }
      }),
    );
  });
});

describe("the store", () => {
  it("a post outlives the page, with what was said of it", async () => {
    const store = new IndexedDbStore();
    const outbox = new Outbox();
    for (const [id, conversation] of [["4", "a"], ["3", "b"], ["2", "c"], ["1", "d"]] as const) outbox.add(post(id, conversation));
    outbox.takeSendable(0);
    outbox.applyRefusal("3", refusal(RefusalCode.CLOSED), 0);
    outbox.applyReceipt("2", 0, true);
    for (const one of outbox.list()) await store.put(one);
    await store.put({ ...outbox.add(post("x")), person: 8 });

    const again = new Outbox();
    again.load(await new IndexedDbStore().load(7));
    expect(again.list().map((one) => [one.clientId, one.state])).toEqual([["4", "waiting"], ["3", "refused"], ["2", "held"], ["1", "waiting"]]);
    expect(again.get("3")?.refusal?.messageZh).toBe("不行。");
    expect(again.unsent).toBe(2);
    await store.remove("1");
    expect((await store.load(7)).map((one) => one.clientId)).toEqual(["2", "3", "4"]);
  });

  it("where the browser refuses a disk, posts are kept in memory, and the store says so", async () => {
    const refuses = { load: () => Promise.reject(new Error("no")), put: () => Promise.reject(new Error("no")), remove: () => Promise.reject(new Error("no")) };
    const store = new SafeStore(refuses);
    await store.put(new Outbox().add(post("1")));
    expect(store.durable).toBe(false);
    expect((await store.load(7)).map((kept) => kept.clientId)).toEqual(["1"]);
  });
});
