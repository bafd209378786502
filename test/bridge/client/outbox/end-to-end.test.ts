// What is sent on a real backbone: stored once, in order, whatever becomes of connections, of the server and of the page.

import { expect, it, vi } from "vitest";
import { createClient, MemoryStorage } from "../../../../bridge/client/index.js";
import { live, useBackbone, useClient } from "../use-backbone.js";

async function texts(
  client: ReturnType<typeof createClient>,
  roomId: string,
): Promise<readonly (string | undefined)[]> {
  const { messages = [] } = await client.room(roomId).history({ limit: 200 });
  return messages.map(({ body }) => body?.text);
}

it("stores once and in order what is sent over cuts and a restart of the server", async () => {
  const server = await useBackbone();
  const ada = useClient(server.url, "ada");
  await ada.change({ createRoom: { roomId: "tea" } });
  const room = ada.room("tea");
  const wanted = Array.from({ length: 60 }, (_, index) => `message ${index}`);
  const sendings = wanted.map((text) => room.send(text));
  await sendings[10];
  ada.drop();
  await sendings[25];
  await server.restart();
  const stored = await Promise.all(sendings);
  expect(await texts(ada, "tea")).toEqual(wanted);
  const seqs = stored.map(({ position }) => position?.seq ?? 0);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(room.pending).toEqual([]);
}, 30_000);

it("changes messages, and goes on after what is refused", async () => {
  const server = await useBackbone();
  const ada = useClient(server.url, "ada");
  await ada.change({ createRoom: { roomId: "tea" } });
  const room = ada.room("tea");
  const { messageId = "" } = await room.send("helo");
  const refused = room.edit(messageId, "hello", { baseVersion: 7 });
  const edited = room.edit(messageId, "hello", { baseVersion: 1 });
  await expect(refused).rejects.toMatchObject({ name: "RefusedError", code: "ERROR_CODE_CONFLICT" });
  await expect(edited).resolves.toMatchObject({ version: 2 });
  await room.react(messageId, "+1");
  await ada.change({ pinMessage: { roomId: "tea", messageId, pinned: true } });
  const { messages = [] } = await room.history();
  expect(messages).toMatchObject([
    { body: { text: "hello" }, pinned: true, reactions: [{ emoji: "+1", count: 1, userIds: ["ada"] }] },
  ]);
  await room.delete(messageId);
  expect((await room.history()).messages).toMatchObject([{ deleted: true }]);
  expect(room.pending).toEqual([]);
});

it("sends after a reload what was left, and never as somebody else", async () => {
  const server = await useBackbone();
  const storage = new MemoryStorage();
  const owner = { tenantId: "demo", userId: "ada" };
  const before = useClient(server.url, "ada", createClient, { autoConnect: false, outbox: { storage, owner } });
  for (const text of ["one", "two", "three"]) before.room("tea").send(text);
  before.close();

  const ben = useClient(server.url, "ben", createClient, { outbox: { storage } });
  await live(ben);
  await ben.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ada" }] } });
  await ben.room("tea").send("of ben");
  expect(await texts(ben, "tea")).toEqual(["of ben"]);

  const after = useClient(server.url, "ada", createClient, { outbox: { storage } });
  await live(after);
  await vi.waitFor(async () => expect(await texts(ben, "tea")).toEqual(["of ben", "one", "two", "three"]));
  await vi.waitFor(async () => expect(await storage.load("demo ada")).toEqual([]));
});
