// A shard that two owners look after at the same time, each with reason to believe that it is its own.

import { expect, it, vi } from "vitest";
import { EventOutlet } from "../../../src/core/outlet/event-outlet.js";
import { Outlet } from "../../../src/core/outlet/outlet.js";
import { shardOf } from "../../../src/ports/shard.js";
import { type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { gate, settle } from "../use-core.js";
import { RecordingTarget } from "./use-sink.js";

const ROOM = "lobby";
/** Finer than what is tried again is spread. */
const STEP_MS = 50;

async function useShard() {
  const rooms = await useRooms();
  const target = new RecordingTarget();
  const shard = shardOf(`acme/${ROOM}`, rooms.engine.shards);
  const owners: Outlet[] = [];
  /** Another node begins to look after the shard. */
  const open = async (): Promise<Outlet> => {
    const work = new EventOutlet(rooms.deps, rooms.engine.outlets, { name: "orders", sink: target });
    const outlet = new Outlet(rooms.deps, work);
    owners.push(outlet);
    outlet.start();
    outlet.opened(shard, endOf(rooms, shard));
    await settle();
    return outlet;
  };
  const say = async (key: string): Promise<void> => {
    await rooms.publish(user("ada"), ROOM, key);
    for (const owner of owners) owner.appended(shard);
    await settle();
  };
  const elapse = async (milliseconds: number): Promise<void> => {
    for (let passed = 0; passed < milliseconds; passed += STEP_MS) {
      rooms.clock.advance(STEP_MS);
      await settle();
    }
  };
  const parked = () => rooms.engine.outlets.parked("events.orders", [shard]);
  return { rooms, target, shard, open, say, elapse, parked };
}

function endOf(rooms: TestRooms, shard: number): number {
  return rooms.engine.state.shards[shard]?.end ?? 0;
}

it("loses nothing where one owner is done with a room that the other believes to be set aside", async () => {
  const { rooms, target, shard, open, say, elapse } = await useShard();
  const first = await open();
  target.refuses = () => true;
  await rooms.room(ROOM);
  await say("one");
  const second = await open();
  await elapse(250);
  target.refuses = () => false;
  // The first tries again, and the second is not to yet.
  await elapse(1_000);
  expect(target.seqs(ROOM)).toEqual([1, 2]);
  await first.stop();
  await say("two");
  await second.yielding(shard);
  await second.stop();
  await open();
  await elapse(5_000);
  expect(new Set(target.seqs(ROOM))).toEqual(new Set([1, 2, 3]));
});

it("moves nothing in a term that is over, and begins anew where the later one has come", async () => {
  const { rooms, target, shard, open, say, elapse } = await useShard();
  const place = () => rooms.engine.archive.followed("events.orders", shard);
  const first = await open();
  await rooms.room(ROOM);
  const second = await open();
  const began = await place();
  await say("one");
  await first.yielding(shard);
  expect(await place()).toBe(began);
  await second.yielding(shard);
  expect(await place()).toBe(endOf(rooms, shard));
  await elapse(2_000);
  expect(target.seqs(ROOM)).toEqual([1, 2, 1, 2].sort());
  // It is the second whose term is over now.
  await say("two");
  await second.yielding(shard);
  expect(await place()).toBeLessThan(endOf(rooms, shard));
  await first.yielding(shard);
  expect(await place()).toBe(endOf(rooms, shard));
  await Promise.all([first.stop(), second.stop()]);
});

it("keeps what is set aside again, while the store has yet to be told that it was done before", async () => {
  const { rooms, target, open, say, elapse, parked } = await useShard();
  const { outlets } = rooms.engine;
  const seqs = async () => (await parked()).map(({ seq }) => seq);
  const owner = await open();
  target.refuses = () => true;
  await rooms.room(ROOM);
  await say("one");
  target.refuses = () => false;
  rooms.engine.holdsUnpark = () => true;
  await elapse(1_000);
  expect(target.seqs(ROOM)).toEqual([1, 2]);
  expect(await seqs()).toEqual([1]);
  rooms.engine.holdsUnpark = () => false;
  target.refuses = () => true;
  const answered = gate<void>();
  const park = outlets.park.bind(outlets);
  vi.spyOn(outlets, "park").mockImplementationOnce(async (...parking) => {
    await park(...parking);
    await answered.promise;
  });
  await say("two");
  expect(await seqs()).toEqual([3]);
  // It tells the store again of what was done.
  await elapse(1_500);
  answered.resolve();
  await settle();
  expect(await seqs()).toEqual([3]);
  await owner.stop();
});
