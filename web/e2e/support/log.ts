// A conversation's log as the service itself tells it, over gRPC-Web: what pages are held against.
import { Client, MemoryStore, toEntry, type Entry } from "@yitang/sdk";

const PAGE = 200;

/** A program that is signed in, without a socket. */
export async function signInProgram(url: string, login: string): Promise<Client> {
  const client = new Client({ url, name: "yitang-web 0.1", store: new MemoryStore() });
  await client.signIn(login, "yitang-demo");
  return client;
}

/** Every entry of the log, in its order. */
export async function readLog(client: Client, conversation: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (;;) {
    const after = BigInt(entries[entries.length - 1]?.seq ?? 0);
    const page = await client.services.conversations.getPage({ conversation, where: { case: "after", value: after }, limit: PAGE });
    entries.push(...page.events.map(toEntry));
    if (page.events.length === 0 || (page.completeAfter ?? false)) return entries;
  }
}

/** The comments of it: where each stands, and what it says. */
export async function readComments(client: Client, conversation: string): Promise<{ seq: number; text: string; timeMs: number; author: number }[]> {
  return (await readLog(client, conversation)).flatMap(({ seq, kind, timeMs, author }) => (kind.case === "comment" ? [{ seq, text: kind.text, timeMs, author }] : []));
}
