import { type Outgoing, Signal } from "@yitang/sdk";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { nextTick, ref } from "vue";

const service = vi.hoisted(() => ({
  asked: [] as string[],
  answer: (_: number): Promise<{ position: { seq: bigint }; mine?: number }> => Promise.resolve({ position: { seq: 0n } }),
  posts: [] as unknown[],
}));
const outboxChanged = new Signal<Outgoing | undefined>();
const myself = ref(7);
vi.mock("../src/shell/session", () => ({ myself }));
vi.mock("../src/shell/client", () => ({
  client: {
    online: true,
    outboxChanged,
    outbox: { list: (conversation: string) => (service.posts as Outgoing[]).filter((post) => post.conversation === conversation) },
    services: {
      polls: {
        getPoll: ({ conversation, seq }: { conversation: string; seq: bigint }) => {
          service.asked.push(`${conversation} ${seq}`);
          return service.answer(Number(seq));
        },
      },
    },
  },
}));
const { askChoice, createVoteReader, findChoice, findPending } = await import("../src/subjects/polls/choices");

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const post = (state: Outgoing["state"], option: number, seq = 0) =>
  ({ clientId: "a", person: 7, conversation: "c", createdMs: 0, content: { case: "vote", target: 5, option }, state, seq, notBeforeMs: 0, tries: 1 }) as Outgoing;
const vote = (seq: number, author: number, option: number) => ({ seq, mseq: 0, timeMs: 0, author, kind: { case: "vote" as const, target: 5, option } });

beforeEach(async () => {
  // Another person comes, and the first again: nothing is known any more.
  for (const person of [8, 7]) {
    myself.value = person;
    await nextTick();
  }
  service.asked.length = service.posts.length = 0;
});

describe("what one has chosen", () => {
  it("is asked of the service once for each poll, however often it is drawn, and again only where no answer came", async () => {
    service.answer = () => Promise.reject(new Error("the line is gone"));
    askChoice("c", 5);
    await settle();
    service.answer = () => Promise.resolve({ position: { seq: 30n }, mine: 1 });
    for (let drawn = 0; drawn < 100; drawn += 1) askChoice("c", 5);
    await settle();
    expect(service.asked).toEqual(["c 5", "c 5"]);
    expect(findChoice("c", 5)).toEqual({ option: 1, asOf: 30, seq: 0 });
    expect(findChoice("d", 5)).toBeUndefined();
  });

  it("is asked for one poll after the other", async () => {
    let open = 0;
    let most = 0;
    service.answer = async () => {
      most = Math.max(most, (open += 1));
      await Promise.resolve();
      open -= 1;
      return { position: { seq: 1n } };
    };
    for (let poll = 1; poll <= 20; poll += 1) askChoice("many", poll);
    await settle();
    expect(service.asked).toHaveLength(20);
    expect(most).toBe(1);
  });

  it("is told by the log, whatever device it was cast on, and by nobody else's votes", () => {
    const read = createVoteReader("c");
    for (const event of [vote(10, 7, 0), vote(11, 9, 2), vote(12, 7, 1)]) expect(read(event)).toBeUndefined();
    expect(findChoice("c", 5)).toEqual({ option: 1, asOf: 12, seq: 12, before: 0 });
  });

  it("is what is on its way, then what was answered; what is refused changes nothing", () => {
    createVoteReader("c")(vote(10, 7, 0));
    for (const state of ["waiting", "sending"] as const) {
      service.posts = [post(state, 2)];
      outboxChanged.emit(post(state, 2));
      expect(findPending("c", 5)).toBe(2);
    }
    service.posts = [post("refused", 2)];
    outboxChanged.emit(post("refused", 2));
    expect([findPending("c", 5), findChoice("c", 5)?.option]).toEqual([undefined, 0]);
    service.posts = [];
    outboxChanged.emit(post("shown", 1, 40));
    expect([findPending("c", 5), findChoice("c", 5)]).toEqual([undefined, { option: 1, asOf: 40, seq: 40, before: 0 }]);
  });

  it("is nobody's any more when another person signs in", async () => {
    createVoteReader("c")(vote(10, 7, 0));
    myself.value = 8;
    await nextTick();
    expect(findChoice("c", 5)).toBeUndefined();
  });
});
