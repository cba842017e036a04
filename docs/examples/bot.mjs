// A bot that answers in a consultation: whoever begins a comment with "@秘书" gets a reply, once.
//   node bot.mjs <url> <login> <password> <conversation>
import { Client } from "@yitang/sdk";
import { FileStore, WebSocket } from "@yitang/sdk/node";

const [url, login, password, conversation] = process.argv.slice(2);
const client = new Client({ url, name: "bot 1.0", webSocket: WebSocket, store: new FileStore(`outbox-${login}`) });
const { person } = await client.signIn(login, password);
await client.start();
const room = client.enter(conversation);
let answered;
room.changed.on(() => {
  if (room.phase !== "live") return;
  if (answered === undefined) console.log("listening from", (answered = room.follower.delivered));
  for (const end = room.follower.delivered; answered < end; answered += 1) {
    const { author, kind, seq } = room.timeline.get(answered + 1) ?? {};
    if (kind?.case !== "comment" || author === person || !kind.text.startsWith("@秘书")) continue;
    void client.post(conversation, { case: "comment", text: `已记下：${kind.text.slice(3).trim()}`, replyTo: seq });
  }
});
client.connectionChanged.on(({ phase }) => console.log(phase));
