// Whose presence a room shows, where announcements of who came and went are lost.

import { expect, it } from "vitest";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { settle, text, useCore } from "../use-core.js";

it("follows who joined unheard, also before anything else of the room was heard", async () => {
  const test = await useCore();
  const ann = await test.connect("ann");
  await test.room(ann, "lobby", "bob");
  const bob = await test.connect("bob");
  expect(await bob.ask({ case: "watchPresence", value: { roomIds: ["lobby"] } })).toMatchObject({
    case: "presenceSnapshot",
  });
  test.engine.lostAnnouncements = 1;
  const add = { roomId: "lobby", key: "add", members: [{ userId: "carl" }] };
  await ann.ask({ case: "call", value: { rpc: { case: "addMembers", value: add } } });
  expect(test.engine.lostAnnouncements).toBe(0);
  await ann.ask(text("lobby", "hello"));
  await test.connect("carl");
  await test.elapse(10_000);
  const told = bob.all("presenceChanges").flatMap(({ value }) => value.presences);
  expect(told.filter(({ userId }) => userId === "carl")).toMatchObject([{ status: PresenceStatus.ONLINE }]);
});

it("is no longer shown to who was removed unheard, as soon as the loss is noticed", async () => {
  const test = await useCore();
  const ann = await test.connect("ann");
  await test.room(ann, "lobby", "bob", "carl");
  const bob = await test.connect("bob");
  await bob.ask({ case: "watchPresence", value: { roomIds: ["lobby"] } });
  test.engine.lostAnnouncements = 1;
  const remove = { roomId: "lobby", key: "remove", userId: "bob" };
  await ann.ask({ case: "call", value: { rpc: { case: "removeMember", value: remove } } });
  expect(test.engine.lostAnnouncements).toBe(0);
  await ann.ask(text("lobby", "hello"));
  await test.connect("carl");
  await test.elapse(5_000);
  const told = bob.all("presenceChanges").flatMap(({ value }) => value.presences);
  expect(told.filter(({ userId }) => userId === "carl")).toEqual([]);
});

it("is no longer shown of a room under another that was deleted unheard, as soon as it is told how far that had come", async () => {
  const test = await useCore();
  const ann = await test.connect("ann");
  await test.room(ann, "lobby", "bob", "carl");
  const call = (rpc: object) => ann.ask({ case: "call", value: { rpc } } as Parameters<typeof ann.ask>[0]);
  await call({ case: "createRoom", value: { roomId: "lobby~corner", parentId: "lobby", key: "make" } });
  const bob = await test.connect("bob");
  await bob.ask({ case: "watchPresence", value: { roomIds: ["lobby~corner"] } });
  test.engine.lostAnnouncements = 1;
  expect(await call({ case: "deleteRoom", value: { roomId: "lobby~corner", key: "delete" } })).toMatchObject({
    case: "callResult",
  });
  expect(test.engine.lostAnnouncements).toBe(0);
  test.engine.fanout.top(roomRef("acme", "lobby~corner"), 2);
  await settle();
  await test.connect("carl");
  await test.elapse(5_000);
  const told = bob.all("presenceChanges").flatMap(({ value }) => value.presences);
  expect(told.filter(({ userId }) => userId === "carl")).toEqual([]);
});
