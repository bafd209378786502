// Receives what a Trunkline server posts: verifies each signature, drops what it has had already, prints the rest.
//
// usage: WEBHOOK_SECRETS=new-secret,old-secret node receiver.mjs PORT STATE-FILE

import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const [port, file] = process.argv.slice(2);
const secrets = (process.env.WEBHOOK_SECRETS ?? "").split(",").filter(Boolean);
const TOLERANCE_SECONDS = 300;
const MAX_BYTES = 8 * 1024 * 1024;
// The last seq of each room, and the last notifications. An application keeps them with what it makes of the events, in one transaction.
const state = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { seqs: {}, notified: [] };

function isGenuine(headers, body) {
  const timestamp = headers["trunkline-timestamp"] ?? "";
  if (!(Math.abs(Date.now() / 1_000 - Number(timestamp)) <= TOLERANCE_SECONDS)) return false;
  const signatures = (headers["trunkline-signature"] ?? "").split(",");
  return secrets.some((secret) => {
    const expected = Buffer.from(
      `v1=${createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex")}`,
    );
    return signatures.some((text) => text.length === expected.length && timingSafeEqual(Buffer.from(text), expected));
  });
}

function take({ rooms = [], notifications = [] }) {
  const news = [];
  for (const { tenantId, roomId, events } of rooms) {
    for (const event of events) {
      const room = `${tenantId}/${roomId}`;
      if (event.position.seq <= (state.seqs[room] ?? 0)) continue;
      state.seqs[room] = event.position.seq;
      news.push({ room, event });
    }
  }
  for (const notification of notifications) {
    if (state.notified.includes(notification.notificationId)) continue;
    state.notified = [...state.notified, notification.notificationId].slice(-10_000);
    news.push({ notification });
  }
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file);
  for (const each of news) console.log(JSON.stringify(each));
}

const server = createServer(async (request, response) => {
  try {
    const chunks = [];
    let bytes = 0;
    for await (const chunk of request) {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) return response.writeHead(413).end();
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks);
    if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
    take(JSON.parse(body));
    // Only now: what is not answered with 2xx comes again.
    response.writeHead(204).end();
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log(JSON.stringify({ listening: server.address().port })));
