// What comes into a user's inbox from rooms.

import { describe, expect, it } from "vitest";
import { settle, type TestClient, type TestCore, useCore } from "../use-core.js";
import { openInbox, told } from "../user/use-inbox.js";

async function mention(client: TestClient, roomId: string, ...users: readonly string[]): Promise<void> {
  const body = { kind: { case: "text" as const, value: "look" } };
  const mentions = users.map((userId) => ({ userId }));
  const clientMessageId = `mention-${users.join("-")}-${client.sink.frames.length}`;
  await client.ask({ case: "publish", value: { roomId, clientMessageId, body, mentions } });
}

async function people(core: TestCore): Promise<{ ada: TestClient; bob: TestClient }> {
  return { ada: await core.connect("ada"), bob: await core.connect("bob") };
}

describe("an inbox", () => {
  it("is there when its user asks for it, and nobody else's", async () => {
    const core = await useCore();
    const { ada, bob } = await people(core);
    const inbox = await openInbox(ada);
    await openInbox(ada);
    expect(await bob.ask({ case: "subscribe", value: { roomId: inbox } })).toMatchObject({ case: "error" });
    const say = { roomId: inbox, clientMessageId: "m", body: { kind: { case: "text" as const, value: "x" } } };
    for (const client of [ada, bob]) expect((await client.ask({ case: "publish", value: say })).case).toBe("error");
  });

  it("tells of being added to a room by somebody else, when it is made and later", async () => {
    const core = await useCore();
    const { ada, bob } = await people(core);
    await core.room(ada, "r", "bob");
    const add = { roomId: "s", key: "add", members: [{ userId: "bob" }, { userId: "carl" }] };
    await core.room(ada, "s");
    await ada.ask({ case: "call", value: { rpc: { case: "addMembers", value: add } } });
    await openInbox(bob);
    await openInbox(ada);
    await settle();
    expect(told(bob)).toMatchObject([
      { case: "addedToRoom", value: { roomId: "r", by: { userId: "ada" } } },
      { case: "addedToRoom", value: { roomId: "s", by: { userId: "ada" } } },
    ]);
    expect(told(ada)).toEqual([]);
  });

  it("tells of being removed by somebody else, and not of leaving", async () => {
    const core = await useCore();
    const { ada, bob } = await people(core);
    await openInbox(bob);
    for (const roomId of ["r", "s"]) await core.room(ada, roomId, "bob");
    await bob.ask({ case: "call", value: { rpc: { case: "leaveRoom", value: { roomId: "r", key: "leave" } } } });
    const remove = { roomId: "s", key: "remove", userId: "bob" };
    await ada.ask({ case: "call", value: { rpc: { case: "removeMember", value: remove } } });
    await settle();
    expect(told(bob).slice(2)).toMatchObject([{ case: "removedFromRoom", value: { roomId: "s" } }]);
  });

  it("tells members of messages that name them, once, while they may read the room", async () => {
    const core = await useCore();
    const { ada, bob } = await people(core);
    await core.room(ada, "r", "bob");
    await openInbox(bob);
    await settle();
    const before = told(bob).length;
    await mention(ada, "r", "bob", "bob", "eve");
    await mention(bob, "r", "bob");
    await settle();
    expect(told(bob).slice(before)).toMatchObject([
      { case: "mentioned", value: { roomId: "r", messageIndex: 1, by: { userId: "ada" } } },
    ]);
  });
});
