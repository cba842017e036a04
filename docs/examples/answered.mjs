// Says "@秘书 …" in the open consultation and waits until somebody has answered it.
//   node answered.mjs <url> <login> <password> <conversation>
import { Client } from "@yitang/sdk";
import { WebSocket } from "@yitang/sdk/node";

const [url, login, password, conversation] = process.argv.slice(2);
const client = new Client({ url, webSocket: WebSocket });
await client.signIn(login, password);
await client.start();
const room = client.enter(conversation);
const { clientId } = await client.post(conversation, { case: "comment", text: "@秘书 加装电梯的事", replyTo: 0 });
const { seq } = await client.settled(clientId);
const late = setTimeout(() => {
  console.error("nobody answered");
  process.exit(1);
}, 30_000);
await new Promise((resolve) => {
  const look = () => {
    for (const { author, kind } of room.timeline.list()) {
      if (kind.case === "comment" && kind.replyTo === seq && kind.text === "已记下：加装电梯的事") resolve(author);
    }
  };
  room.changed.on(look);
  look();
}).then((author) => console.log(`person ${author} answered comment ${seq}`));
clearTimeout(late);
await client.stop();
