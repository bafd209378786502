// A backend: answers every message that names the bot, in the same room, once. Remembers how far it has come in a file.
//
// usage: TRUNKLINE_TOKEN=… node support-bot.mjs HOST:PORT CURSOR-FILE

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServiceClient } from "trunkline/service";

const [address, file] = process.argv.slice(2);
const BOT = "support-bot";
const trunkline = createServiceClient({ address, token: process.env.TRUNKLINE_TOKEN });
const cursor = existsSync(file) ? readFileSync(file, "utf8") : "";

for await (const response of trunkline.tail({ cursor })) {
  for (const { eventId, kind, actor } of response.events) {
    if (kind.case !== "messageCreated" || !kind.value.mentions.some(({ userId }) => userId === BOT)) continue;
    const text = `${actor?.displayName || actor?.userId}, somebody will be with you soon.`;
    // The key is made of the message answered: after a crash the same answer is not said twice.
    await trunkline.sendToRoom({
      roomId: response.roomId,
      key: `answer.${eventId}`,
      replyTo: eventId,
      body: { kind: { case: "text", value: text } },
    });
  }
  // Whole or not at all: a crash in between must not leave half a cursor.
  writeFileSync(`${file}.new`, response.cursor);
  renameSync(`${file}.new`, file);
  if (response.roomId === "") console.log("listening");
}
