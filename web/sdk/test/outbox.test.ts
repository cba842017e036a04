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

describe("Outbox", () => {
  it("what one person says in a conversation stays in the order it was said", () => {
    const outbox = new Outbox();
    for (const [id, conversation] of [["1", "a"], ["2", "a"], ["3", "b"]] as const) outbox.add(post(id, conversation));
    expect(outbox.take(0).map((sent) => sent.clientId)).toEqual(["1", "3"]);
    expect(outbox.take(0)).toEqual([]);
    outbox.receipt("1", 10, false);
    expect(outbox.take(0).map((sent) => sent.clientId)).toEqual(["2"]);
  });

  it("a post that must wait holds back those after it", () => {
    const outbox = new Outbox();
    outbox.add(post("1"));
    outbox.add(post("2"));
    outbox.take(0);
    outbox.refused("1", refusal(RefusalCode.SLOW_MODE, 7_000), 100);
    expect(outbox.get("1")).toMatchObject({ state: "waiting", notBeforeMs: 7_100 });
    expect(outbox.take(5_000)).toEqual([]);
    expect(outbox.take(7_100).map((sent) => sent.clientId)).toEqual(["1"]);
  });

  it("a refusal for good is kept with its reason, and does not hold back the next", () => {
    const outbox = new Outbox();
    outbox.add(post("1"));
    outbox.add(post("2"));
    outbox.take(0);
    outbox.refused("1", refusal(RefusalCode.CLOSED), 0);
    expect(outbox.get("1")).toMatchObject({ state: "refused", refusal: { messageZh: "不行。" } });
    expect(outbox.take(0).map((sent) => sent.clientId)).toEqual(["2"]);
    outbox.retry("1");
    outbox.receipt("2", 4, false);
    expect(outbox.take(0)[0]).toMatchObject({ clientId: "1", state: "sending", tries: 2 });
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
          const [sent] = outbox.take(now);
          if (!sent) continue;
          if (what === "line") outbox.lineLost();
          else if (what === "later") outbox.refused(sent.clientId, refusal(RefusalCode.OVERLOADED, 1_000), now);
          else if (what === "refuse") outbox.refused(sent.clientId, refusal(RefusalCode.MUTED), now);
          else {
            receipts.set(sent.clientId, (receipts.get(sent.clientId) ?? 0) + 1);
            outbox.receipt(sent.clientId, 1, false);
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
  it("a post outlives the page, with why it was refused", async () => {
    const store = new IndexedDbStore();
    const outbox = new Outbox();
    await store.put(outbox.add(post("2", "a", 2)));
    await store.put(outbox.add(post("1", "a", 1)));
    outbox.take(0);
    await store.put(outbox.refused("2", refusal(RefusalCode.CLOSED), 0) as Outgoing);
    await store.put({ ...outbox.add(post("x")), person: 8 });

    const again = new Outbox();
    again.load(await new IndexedDbStore().load(7));
    expect(again.list().map((kept) => [kept.clientId, kept.state])).toEqual([["1", "waiting"], ["2", "refused"]]);
    await store.remove("1");
    expect((await store.load(7)).map((kept) => kept.clientId)).toEqual(["2"]);
  });

  it("where the browser refuses a disk, posts are kept in memory, and the store says so", async () => {
    const refuses = { load: () => Promise.reject(new Error("no")), put: () => Promise.reject(new Error("no")), remove: () => Promise.reject(new Error("no")) };
    const store = new SafeStore(refuses);
    await store.put(new Outbox().add(post("1")));
    expect(store.durable).toBe(false);
    expect((await store.load(7)).map((kept) => kept.clientId)).toEqual(["1"]);
  });
});
