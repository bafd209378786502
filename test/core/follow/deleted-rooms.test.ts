// What a deleted room leaves behind.

import { expect, it, onTestFinished } from "vitest";
import { DeletedRooms } from "../../../src/core/follow/deleted-rooms.js";
import { Follower } from "../../../src/core/follow/follower.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { TENANT, type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { settle } from "../use-core.js";

const ada = user("ada");
const ROOM = roomRef(TENANT, "r");

async function follow(rooms: TestRooms): Promise<Follower> {
  const follower = new Follower(rooms.deps, new DeletedRooms(rooms.deps));
  rooms.owner.onAppended((shard, from, records) => follower.appended(shard, from, records));
  follower.start(rooms.owner.ends);
  // Not waited for: an archive that has died with its process never answers.
  onTestFinished(() => void follower.stop());
  await settle();
  return follower;
}

async function left({ engine: { archive } }: TestRooms) {
  const events = await archive.events(ROOM, { from: 1, to: 99, limit: 99, maxBytes: 99_999 });
  return {
    events: events.map(({ event }) => event.kind.case),
    member: (await archive.member(ROOM, "ada"))?.member?.userId,
    rooms: await archive.roomsOf(TENANT, "ada", { after: "", limit: 9 }),
  };
}

const NOTHING_BUT_THE_DELETION = { events: ["roomDeleted"], member: undefined, rooms: [] };

async function useRoom(): Promise<TestRooms> {
  const rooms = await useRooms();
  await rooms.room("r");
  await rooms.publish(ada, "r", "m1");
  return rooms;
}

it("leaves the deletion, and nothing of what was said or of who was there", async () => {
  const rooms = await useRoom();
  await follow(rooms);
  expect(await left(rooms)).toMatchObject({ member: "ada", rooms: ["r"] });
  await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" });
  await settle();
  expect(await left(rooms)).toEqual(NOTHING_BUT_THE_DELETION);
});

it("is cleared when the archive is back, where it was away", async () => {
  const rooms = await useRoom();
  await follow(rooms);
  // Its owner has had the room for long enough to know by itself that the key is new.
  rooms.clock.advance(630_000);
  await settle();
  rooms.engine.archiveDown = true;
  await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" });
  await settle();
  rooms.engine.archiveDown = false;
  expect(await left(rooms)).toMatchObject({ member: "ada" });
  rooms.clock.advance(30_000);
  await settle();
  expect(await left(rooms)).toEqual(NOTHING_BUT_THE_DELETION);
});

it("is cleared after a restart, where the process ended before", async () => {
  const rooms = await useRoom();
  await (await follow(rooms)).stop();
  await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" });
  await settle();
  expect(await left(rooms)).toMatchObject({ member: "ada" });
  await rooms.restart();
  await follow(rooms);
  await settle();
  expect(await left(rooms)).toEqual(NOTHING_BUT_THE_DELETION);
});
