// Says something in a room, and shows what was said there. usage: TRUNKLINE_TOKEN=… node client.mjs URL ROOM TEXT
import { createClient } from "trunkline/client";

const [url, roomId, text] = process.argv.slice(2);
const client = createClient({ url, token: () => process.env.TRUNKLINE_TOKEN });
const room = client.room(roomId);
const { key } = room.send(text); // It is sent once there is a connection, and again until it is stored.
for await (const { actor, messageCreated } of room.events({ after: { seq: 0, tag: 0 } })) {
  if (messageCreated === undefined) continue; // Somebody joined, say.
  console.log(`${actor?.userId}: ${messageCreated.body?.text}`);
  if (messageCreated.clientMessageId === key) break; // Our own has come back: all that was said before was shown.
}
client.close();
