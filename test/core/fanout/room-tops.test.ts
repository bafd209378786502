// Members who are there and do not read a room hear that it has moved on.

import { describe, expect, it } from "vitest";
import { type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { call } from "../user/use-inbox.js";

function tops(client: TestClient): unknown[] {
  return client.all("signals").flatMap(({ value: { top } }) => (top === undefined ? [] : [top]));
}

async function say(client: TestClient, roomId: string, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await client.ask(text(roomId, key));
}

/** A room of ada and bob; bob is there and does not read it. */
async function two(core: TestCore): Promise<{ ada: TestClient; bob: TestClient }> {
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  await core.room(ada, "r", "bob");
  await core.elapse(2_000);
  bob.sink.frames.length = bob.all("welcome").length;
  return { ada, bob };
}

describe("the top of a room", () => {
  it("is told to members who do not read it, once for everything within a second", async () => {
    const core = await useCore();
    const { ada, bob } = await two(core);
    await say(ada, "r", "m1", "m2", "m3");
    expect(tops(bob)).toEqual([]);
    await core.elapse(1_000);
    expect(tops(bob)).toMatchObject([{ roomId: "r", top: { seq: 4 }, lastMessageIndex: 3 }]);
    await say(ada, "r", "m4");
    await core.elapse(3_000);
    expect(tops(bob)).toMatchObject([{ top: { seq: 4 } }, { top: { seq: 5 }, lastMessageIndex: 4 }]);
  });

  it("is not told to sessions that read the room, nor to who is no member", async () => {
    const core = await useCore();
    const { ada, bob } = await two(core);
    const eve = await core.connect("eve");
    const laptop = await core.connect("bob", { device: { deviceId: "laptop" } });
    await laptop.ask({ case: "subscribe", value: { roomId: "r" } });
    await say(ada, "r", "m1");
    await core.elapse(1_000);
    expect([bob, laptop, eve].map((client) => tops(client).length)).toEqual([1, 0, 0]);
    await laptop.ask({ case: "unsubscribe", value: { roomId: "r" } });
    await say(ada, "r", "m2");
    await core.elapse(1_000);
    expect([bob, laptop, eve].map((client) => tops(client).length)).toEqual([2, 1, 0]);
  });

  it("is told to whoever is a member now", async () => {
    const core = await useCore();
    const { ada, bob } = await two(core);
    const carl = await core.connect("carl");
    await say(ada, "r", "m1");
    await core.elapse(1_000);
    await call(ada, { case: "removeMember", value: { roomId: "r", key: "remove", userId: "bob" } });
    await call(ada, { case: "addMembers", value: { roomId: "r", key: "add", members: [{ userId: "carl" }] } });
    await say(ada, "r", "m2");
    await core.elapse(1_000);
    expect([bob, carl].map((client) => tops(client).length)).toEqual([1, 1]);
  });

  it("is not told of rooms with more than a hundred members", async () => {
    const core = await useCore();
    const { ada, bob } = await two(core);
    const members = Array.from({ length: 99 }, (_, n) => ({ userId: `u${n}` }));
    await call(ada, { case: "addMembers", value: { roomId: "r", key: "add", members } });
    await say(ada, "r", "m1");
    await core.elapse(2_000);
    expect(tops(bob)).toEqual([]);
    await call(ada, { case: "removeMember", value: { roomId: "r", key: "remove", userId: "u7" } });
    await core.elapse(2_000);
    expect(tops(bob)).toMatchObject([{ roomId: "r", lastMessageIndex: 1 }]);
  });

  it("is told again with the next event where the archive was away", async () => {
    const core = await useCore();
    const { ada, bob } = await two(core);
    await call(ada, { case: "addMembers", value: { roomId: "r", key: "add", members: [{ userId: "u" }] } });
    core.engine.archiveDown = true;
    await core.elapse(1_000);
    core.engine.archiveDown = false;
    await say(ada, "r", "m1");
    await core.elapse(1_000);
    expect(tops(bob)).toMatchObject([{ lastMessageIndex: 1 }]);
  });
});
