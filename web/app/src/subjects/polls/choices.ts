// What this person has chosen, by poll: told by the log and by the answers to one's own votes; where they do not reach back
// to it, asked of the service, once for each poll that is looked at.
import type { Entry } from "@yitang/sdk";
import { ref, shallowReactive, watch } from "vue";
import { client } from "../../shell/client";
import { myself } from "../../shell/session";
import { type Choice, learnChoice } from "./poll";

/** Polls that are remembered, those looked at last. */
const KEPT_MOST = 200;

const choices = shallowReactive(new Map<string, Choice>());
/** Asked for, or known without asking; in the order they came. */
const asked = new Set<string>();
/** One question at a time, however many rows are drawn. */
let asking: Promise<void> = Promise.resolve();
const outboxVersion = ref(0);
let isListening = false;

const keyOf = (conversation: string, poll: number) => `${conversation} ${poll}`;

function learn(key: string, learnt: Pick<Choice, "option" | "asOf" | "seq">): void {
  const now = learnChoice(choices.get(key), learnt);
  if (now !== choices.get(key)) choices.set(key, now);
}

function startListening(): void {
  if (isListening) return;
  isListening = true;
  client.outboxChanged.on((post) => {
    outboxVersion.value += 1;
    if (post?.content.case !== "vote" || post.state !== "shown") return;
    learn(keyOf(post.conversation, post.content.target), { option: post.content.option, asOf: post.seq, seq: post.seq });
  });
  // Another person signs in on this page.
  watch(myself, () => {
    choices.clear();
    asked.clear();
  });
}

async function ask(conversation: string, poll: number): Promise<void> {
  const key = keyOf(conversation, poll);
  const person = myself.value;
  try {
    const { position, mine } = await client.services.polls.getPoll({ conversation, seq: BigInt(poll) });
    const learnt = { asOf: Number(position?.seq ?? 0n), seq: 0 };
    if (person === myself.value) learn(key, mine === undefined ? learnt : { ...learnt, option: mine });
  } catch {
    // Asked again when the row is next drawn.
    asked.delete(key);
  }
}

export function findChoice(conversation: string, poll: number): Choice | undefined {
  return choices.get(keyOf(conversation, poll));
}

/** For a row, whenever it shows another poll: asks where nobody did yet. */
export function askChoice(conversation: string, poll: number): void {
  const key = keyOf(conversation, poll);
  if (asked.has(key) || myself.value === 0 || !client.online) return;
  startListening();
  asked.add(key);
  for (const oldest of asked) {
    if (asked.size <= KEPT_MOST) break;
    asked.delete(oldest);
    choices.delete(oldest);
  }
  asking = asking.then(() => ask(conversation, poll));
}

/** What is on its way, or waits; undefined: nothing. The newest counts. */
export function findPending(conversation: string, poll: number): number | undefined {
  void outboxVersion.value;
  let pending: number | undefined;
  for (const { content, state } of client.outbox.list(conversation)) {
    if (content.case === "vote" && content.target === poll && (state === "waiting" || state === "sending")) pending = content.option;
  }
  return pending;
}

/** Reads the votes of a log as they come: one's own may have been cast on another device. They have no row. */
export function createVoteReader(conversation: string): (entry: Entry) => undefined {
  startListening();
  return ({ author, kind, seq }) => {
    if (kind.case === "vote" && author === myself.value) learn(keyOf(conversation, kind.target), { option: kind.option, asOf: seq, seq });
    return undefined;
  };
}
