// What a deleted room leaves behind.

import { expect, it, onTestFinished } from "vitest";
import { DeletedRoomMembers, DeletedRooms } from "../../../src/core/follow/deleted-rooms.js";
import { Follower, REMOVAL_WAIT_MS } from "../../../src/core/follow/follower.js";
import type { LogReader } from "../../../src/core/follow/shard-reader.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { TENANT, type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { settle } from "../use-core.js";

const ada = user("ada");
const ROOM = roomRef(TENANT, "r");

/** Somebody else who reads the log, and is as slow as the test wants. */
class Reader implements LogReader {
  #reached = Number.POSITIVE_INFINITY;
  readonly #listeners: ((shard: number) => void)[] = [];

  reached(): number {
    return this.#reached;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  set at(offset: number) {
    this.#reached = offset;
    for (let shard = 0; shard < 4; shard++) for (const listener of this.#listeners) listener(shard);
  }
}

interface Following {
  readonly reader: Reader;
  stop(): Promise<unknown>;
}

async function follow(rooms: TestRooms): Promise<Following> {
  const reader = new Reader();
  const members = new Follower(rooms.deps, new DeletedRoomMembers(rooms.deps));
  const followers = [members, new Follower(rooms.deps, new DeletedRooms(rooms.deps), [members, reader])];
  for (const follower of followers) {
    rooms.owner.onAppended((shard, from, records) => follower.appended(shard, from, records));
    for (const [shard, end] of rooms.owner.ends.entries()) follower.opened(shard, end);
    follower.start();
  }
  const stop = () => Promise.all(followers.map((follower) => follower.stop()));
  // Not waited for: an archive that has died with its process never answers.
  onTestFinished(() => void stop());
  await settle();
  return { reader, stop };
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

async function useRoom(engine = new MemoryEngine()): Promise<TestRooms> {
  const rooms = await useRooms({ engine });
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

const NOBODY_BUT_ALL_THAT_WAS_SAID = {
  events: ["roomCreated", "messageCreated", "roomDeleted"],
  member: undefined,
  rooms: [],
};

it("keeps what was said until those who read the log have read it, and nobody who was there", async () => {
  const rooms = await useRoom();
  const { reader } = await follow(rooms);
  reader.at = 1;
  await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" });
  await settle();
  expect(await left(rooms)).toEqual(NOBODY_BUT_ALL_THAT_WAS_SAID);
  reader.at = 2;
  await settle();
  expect(await left(rooms)).toEqual(NOBODY_BUT_ALL_THAT_WAS_SAID);
  reader.at = 3;
  await settle();
  expect(await left(rooms)).toEqual(NOTHING_BUT_THE_DELETION);
});

it.each([
  ["", 0],
  [", also where the clock was set back meanwhile", 24 * 3_600_000],
])("waits for an hour at most%s", async (_, backMs) => {
  const rooms = await useRoom();
  const { reader, stop } = await follow(rooms);
  reader.at = 0;
  const timers = rooms.clock.pending;
  await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" });
  await settle();
  rooms.clock.setBack(backMs);
  rooms.clock.advance(REMOVAL_WAIT_MS - 1_000);
  await settle();
  expect(await left(rooms)).toEqual(NOBODY_BUT_ALL_THAT_WAS_SAID);
  expect(rooms.clock.pending).toBe(timers + 1);
  rooms.clock.advance(1_000);
  await settle();
  expect(await left(rooms)).toEqual(NOTHING_BUT_THE_DELETION);
  expect(rooms.clock.pending).toBe(timers);
  await stop();
});

it("waits with one timer, whatever comes meanwhile", async () => {
  const rooms = await useRoom(new MemoryEngine({ shards: 1 }));
  const { reader, stop } = await follow(rooms);
  reader.at = 0;
  const before = rooms.clock.pending;
  // Stored without an answer: it is read from the log, and told of while it is read.
  rooms.engine.faultNextAppend({ kind: "lose-answer" });
  await expect(rooms.ask(ada, "deleteRoom", { roomId: "r", key: "delete" })).rejects.toThrow();
  const { log } = rooms.engine;
  const read = log.read.bind(log);
  log.read = async (...asked) => {
    const records = await read(...asked);
    log.read = read;
    await rooms.room("q");
    return records;
  };
  rooms.clock.advance(200);
  await settle();
  const timers = rooms.clock.pending;
  expect(timers).toBe(before + 1);
  await rooms.room("s");
  await rooms.publish(ada, "s", "m1");
  await settle();
  expect(rooms.clock.pending).toBe(timers);
  await stop();
});
