// A client whose application signs another user in.

import { expect, it } from "vitest";
import { useLiveClient } from "../support/use-client.js";

async function useReader() {
  const used = await useLiveClient();
  const { client, server, open, run } = used;
  server.answer = ({ mark, setPresence }) => ((mark ?? setPresence) ? { done: {} } : undefined);
  server.say("tea", "one", "two");
  const { room } = open("tea", {});
  await run(5_000);
  room.markRead();
  void client.presence.set({ status: "PRESENCE_STATUS_DO_NOT_DISTURB", text: "At the dentist" });
  await run(5_000);
  return { ...used, room };
}

it("says nothing of what the user before has read, and how they were, for the next one", async () => {
  const { client, server, room, run } = await useReader();
  client.close();
  server.userId = "ben";
  client.connect();
  await run(5_000);
  expect(client.state).toMatchObject({ status: "live", userId: "ben" });
  const said = server.session.heard;
  expect(said.flatMap(({ setPresence }) => setPresence ?? [])).toEqual([]);
  expect(said.flatMap(({ mark }) => mark ?? [])).toEqual([]);
  expect(room.receipts.own).toBeUndefined();
  server.say("tea", "three");
  await run(5_000);
  room.markRead();
  await run(5_000);
  expect(said.flatMap(({ mark }) => mark?.read ?? [])).toMatchObject([{ seq: 3 }]);
});

it("says both again where the same user comes back", async () => {
  const { server, run } = await useReader();
  server.network.cut();
  await run(5_000);
  const said = server.session.heard;
  expect(said.flatMap(({ setPresence }) => setPresence ?? [])).toMatchObject([{ text: "At the dentist" }]);
  expect(said.flatMap(({ mark }) => mark ?? [])).toMatchObject([{ read: { seq: 2 } }]);
});
