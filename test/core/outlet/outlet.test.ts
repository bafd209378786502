// An outlet in a shard that another node has had.

import { expect, it } from "vitest";
import { Outlet } from "../../../src/core/outlet/outlet.js";
import { shardOf } from "../../../src/ports/shard.js";
import { useRooms, user } from "../room/use-rooms.js";
import { settle } from "../use-core.js";

it("misses nothing that the last owner puts aside while this one reads what it had put aside", async () => {
  const rooms = await useRooms();
  await rooms.room("lobby");
  for (const key of ["m1", "m2"]) await rooms.publish(user("ada"), "lobby", key);
  const shard = shardOf("acme/lobby", rooms.engine.shards);
  const { end = 0 } = rooms.engine.state.shards[shard] ?? {};
  await rooms.engine.archive.follow("late", shard, end - 1);
  const taken: number[] = [];
  const outlet = new Outlet(rooms.deps, {
    name: "late",
    keptMs: 0,
    load: async () => {
      // The last owner puts the last event aside, which is not seen any more, and goes on.
      await rooms.engine.archive.follow("late", shard, end);
      return () => {};
    },
    take: async (records) => {
      taken.push(...records.map(({ event }) => event.seq));
      return { count: records.length, waitMs: 0 };
    },
    released: () => {},
    stop: () => {},
  });
  outlet.start();
  outlet.opened(shard, end);
  await settle();
  expect(taken).toEqual([3]);
  await outlet.stop();
});
