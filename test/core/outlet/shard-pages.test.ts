// A reader that asks for time gets it.

import { expect, it } from "vitest";
import { ShardPages, type Taken } from "../../../src/core/outlet/shard-pages.js";
import { shardOf } from "../../../src/ports/shard.js";
import { useRooms, user } from "../room/use-rooms.js";
import { type Gate, gate, settle } from "../use-core.js";

it("waits as long as the reader says, also where more was appended while it read", async () => {
  const rooms = await useRooms();
  await rooms.room("lobby");
  const pages: Gate<Taken>[] = [];
  const reader = new ShardPages(rooms.deps, {
    name: "slow",
    keptMs: 0,
    take: () => {
      const page = gate<Taken>();
      pages.push(page);
      return page.promise;
    },
  });
  for (const [shard] of rooms.owner.ends.entries()) reader.opened(shard, 0);
  reader.start();
  await settle();
  for (const [shard] of rooms.owner.ends.entries()) reader.appended(shard);
  pages[0]?.resolve({ count: 0, waitMs: 1_000 });
  await settle();
  expect(pages).toHaveLength(1);
  rooms.clock.advance(1_000);
  await settle();
  expect(pages).toHaveLength(2);
  await reader.stop();
});

it("says what was gone before it came there, and hands over what is left", async () => {
  const rooms = await useRooms();
  await rooms.room("lobby");
  for (const key of ["m1", "m2", "m3"]) await rooms.publish(user("ada"), "lobby", key);
  const shard = shardOf("acme/lobby", rooms.engine.shards);
  const { end = 0 } = rooms.engine.state.shards[shard] ?? {};
  await rooms.engine.archive.follow("slow", shard, 0);
  rooms.engine.expire(shard, end - 1);
  const lost: unknown[] = [];
  rooms.deps.telemetry.on("follower.lost", (event) => lost.push(event));
  const taken: number[] = [];
  const reader = new ShardPages(rooms.deps, {
    name: "slow",
    keptMs: 0,
    take: async (records) => {
      taken.push(...records.map(({ event }) => event.seq));
      return { count: records.length, waitMs: 0 };
    },
  });
  reader.opened(shard, end);
  reader.start();
  await settle();
  expect(taken).toEqual([4]);
  expect(lost).toEqual([{ follower: "slow", shard, from: 0, to: end - 1 }]);
  expect(reader.reached(shard)).toBe(end);
  await reader.stop();
});
