// Stories of users who are away and of services that hear of what happens, with the example receiver as it stands.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { at, isObject, type JsonObject, TestClient, text } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { Person } from "../support/story/person.js";
import { ReceiverExample } from "../support/story/receiver-example.js";
import { signToken } from "../support/token.js";

const CLI = fileURLToPath(new URL("../../dist/src/cli.js", import.meta.url));
const SECRET = "the-secret-that-signs-as-long-as-it-must-be";
const OLD_SECRET = "the-secret-that-signed-before-as-long-as-that";
const run = promisify(execFile);

type Outlets = (url: string) => JsonObject;

/** A server with outlets to a receiver, both running. */
async function useServerAndReceiver(outlets: Outlets) {
  const receiver = new ReceiverExample();
  onTestFinished(() => receiver.dispose());
  await receiver.start(SECRET);
  const file = join(receiver.directory, "outlets.json");
  writeFileSync(file, JSON.stringify(outlets(receiver.url)));
  const server = new TestServer({ environment: { TRUNKLINE_OUTLETS: file } });
  onTestFinished(() => server.dispose());
  await server.start();
  return { server, receiver };
}

/** Runs a command beside the server, and gets what it printed: a line of JSON each. */
async function trunkline(server: TestServer, ...words: readonly string[]): Promise<readonly JsonObject[]> {
  const { stdout } = await run(process.execPath, [CLI, ...words, "--data-directory", server.dataDirectory]);
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line): unknown => JSON.parse(line))
    .filter(isObject);
}

class Service {
  readonly #client: TestClient;
  readonly #token: string;

  constructor(server: TestServer) {
    this.#client = new TestClient("grpc", server.endpoints);
    this.#token = signToken(server.issuer, { user: "support", grants: ["service"] });
  }

  async asks(method: string, request: JsonObject): Promise<JsonObject> {
    const outcome = await this.#client.call(this.#token, method, request, "DeliveryService");
    if (!("response" in outcome)) throw new Error(`${method} was refused: ${JSON.stringify(outcome)}`);
    return outcome.response;
  }
}

test("a support service answers into an inbox while its user is away, and learns when the answer has come and was read", async () => {
  const { server, receiver } = await useServerAndReceiver((url) => ({
    notifier: { webhook: { url, secrets: [SECRET] }, grace: "1s" },
  }));
  const ada = await new Person(server, "ada", { device: "adas-phone" }).comes();
  ada.leaves();

  const support = new Service(server);
  const answer = { key: "ticket-7", body: { text: "it is on its way" }, userIds: ["ada"] };
  const sent = at(await support.asks("SendToUsers", answer), "results", 0);
  const [told] = await receiver.printed(1);
  expect(told).toMatchObject({
    notification: {
      userId: "ada",
      roomKind: "ROOM_KIND_INBOX",
      count: 1,
      last: at(sent, "position") ?? {},
      sender: { userId: "support" },
      devices: [{ deviceId: "adas-phone" }],
    },
  });
  expect(JSON.stringify(told)).not.toContain("on its way");
  const notification = at(told, "notification");
  const [roomId, messageId] = [text(at(notification, "roomId")), text(at(notification, "messageId"))];

  const status = async () => at(await support.asks("GetDeliveryStatus", { roomId, messageId }), "members", 0);
  expect(await status()).toMatchObject({ userId: "ada", storedAt: expect.anything() });
  expect(at(await status(), "deliveredAt")).toBeUndefined();

  // Another answer is no other notification: she has not been back.
  await support.asks("SendToUsers", { ...answer, key: "ticket-8", body: { text: "tomorrow" } });
  await ada.comes();
  const [first, second] = await ada.inbox(2);
  expect([first, second].map((event) => at(event, "messageCreated", "body", "text"))).toEqual([
    "it is on its way",
    "tomorrow",
  ]);
  const position = at(second, "position") ?? {};
  await ada.asks({ mark: { roomId, delivered: position } }, "done");
  expect(at(await status(), "deliveredAt")).toBeDefined();
  expect(at(await status(), "readAt")).toBeUndefined();
  await ada.asks({ mark: { roomId, read: position } }, "done");
  expect(at(await status(), "readAt")).toBeDefined();

  expect(receiver.lines).toHaveLength(1);
  expect(await trunkline(server, "notifications")).toMatchObject([
    { notification: { userId: "ada", roomId, messageId } },
  ]);
}, 60_000);

test("a receiver has every event of its rooms once and in order, though it and the server are killed", async () => {
  const { server, receiver } = await useServerAndReceiver((url) => ({
    webhooks: [{ name: "archive", url, secrets: [SECRET, OLD_SECRET], kinds: ["messageCreated"], roomPrefix: "desk" }],
  }));
  const ada = await new Person(server, "ada").comes();
  for (const roomId of ["desk", "den"]) await ada.makes(roomId);
  await ada.says("desk", "one");
  await ada.says("den", "not for others");
  await receiver.printed(1);

  await receiver.kill();
  await ada.says("desk", "two");
  await server.kill();
  await server.start();
  await ada.comes();
  await ada.says("desk", "three");
  // The secret before the last is as good while they are rotated.
  await receiver.start(OLD_SECRET);
  const lines = await receiver.printed(3);
  expect(lines.map((line) => at(line, "event", "messageCreated", "body", "text"))).toEqual(["one", "two", "three"]);
}, 60_000);

test("what a receiver refuses for too long is a dead letter, until it is replayed", async () => {
  const { server, receiver } = await useServerAndReceiver((url) => ({
    webhooks: [{ name: "archive", url, secrets: [SECRET], kinds: ["messageCreated"], giveUpAfter: "1s" }],
  }));
  await receiver.kill();
  await receiver.start("another-secret-so-that-no-signature-is-good");
  const ada = await new Person(server, "ada").comes();
  await ada.makes("desk");
  await ada.says("desk", "lost?");
  let letters = await trunkline(server, "dead-letters");
  for (let looks = 0; letters.length === 0 && looks < 20; looks++) letters = await trunkline(server, "dead-letters");
  expect(letters).toMatchObject([{ outlet: "events.archive", roomId: "desk", firstSeq: 2, lastSeq: 2 }]);
  expect(text(letters[0]?.reason)).toMatch(/answered 401$/);

  await receiver.kill();
  await receiver.start(SECRET);
  await trunkline(server, "replay", text(letters[0]?.id));
  const [replayed] = await receiver.printed(1);
  expect(at(replayed, "event", "messageCreated", "body", "text")).toBe("lost?");
  let left = await trunkline(server, "dead-letters");
  for (let looks = 0; left.length > 0 && looks < 20; looks++) left = await trunkline(server, "dead-letters");
  expect(left).toEqual([]);
}, 90_000);
