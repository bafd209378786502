// A backup of the live server is restored: clients that have seen later events are told, not left in the dark.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { at, type Connection, type JsonObject, TestClient } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { readEvents } from "../support/story/read-room.js";
import { signToken } from "../support/token.js";

const CLI = fileURLToPath(new URL("../../dist/src/cli.js", import.meta.url));
const run = promisify(execFile);

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function open(server: TestServer, rooms: readonly JsonObject[]): Promise<Connection> {
  const connection = await new TestClient("websocket-json", server.endpoints).connect();
  ends.push(() => connection.destroy());
  const token = signToken(server.issuer, { user: "ann" });
  const hello = { token, device: { deviceId: "d" }, attempt: 1, protocol: 1, rooms };
  expect(await connection.request({ hello })).toHaveProperty("welcome");
  return connection;
}

async function say(connection: Connection, text: string): Promise<JsonObject> {
  const publish = { roomId: "lobby", clientMessageId: text.replaceAll(" ", "-"), attempt: 1, body: { text } };
  const reply = await connection.request({ publish });
  const position = at(reply, "published", "position");
  if (position === undefined) throw new Error(JSON.stringify(reply));
  return { position };
}

test("after a restore clients with later positions are reset, those with earlier ones go on", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "trunkline-restore-"));
  ends.push(() => rmSync(scratch, { recursive: true, force: true }));
  const copy = join(scratch, "copy");

  const original = new TestServer();
  ends.push(() => original.dispose());
  await original.start();
  const ann = await open(original, []);
  await ann.request({ call: { createRoom: { roomId: "lobby", key: "k", attempt: 1 } } });
  const early = await say(ann, "in the backup");
  const last = await say(ann, "last in the backup");
  await run(process.execPath, [CLI, "backup", copy, "--data-directory", original.dataDirectory]);
  const lost = await say(ann, "after the backup");
  const later = await say(ann, "also after the backup");
  await original.kill();

  const restored = new TestServer({ dataDirectory: copy });
  ends.push(() => restored.dispose());
  await restored.start();

  const stored = await readEvents(
    new TestClient("grpc", restored.endpoints),
    signToken(restored.issuer, { user: "ann" }),
    "lobby",
  );
  expect(stored.map((event) => event.text)).toEqual(["", "in the backup", "last in the backup"]);

  const outcomeOf = async (place: JsonObject): Promise<JsonObject> => {
    const connection = await open(restored, [{ roomId: "lobby", after: place.position ?? null }]);
    const outcome = await connection.next("subscribed");
    connection.destroy();
    return outcome;
  };
  expect(await outcomeOf(early)).toHaveProperty("subscribed.replaying.count", 1);
  expect(await outcomeOf(last)).toHaveProperty("subscribed.caughtUp");
  expect(await outcomeOf(lost)).toHaveProperty("subscribed.reset.reason", "RESET_REASON_BEYOND_END");
  expect(await outcomeOf(later)).toHaveProperty("subscribed.reset.reason", "RESET_REASON_BEYOND_END");

  // The room goes on differently: what stands at a lost position now is another event.
  const again = await open(restored, []);
  await say(again, "another life");
  await say(again, "and on");
  expect(await outcomeOf(lost)).toHaveProperty("subscribed.reset.reason", "RESET_REASON_OTHER_HISTORY");
  expect(await outcomeOf(later)).toHaveProperty("subscribed.reset.reason", "RESET_REASON_OTHER_HISTORY");
}, 60_000);
