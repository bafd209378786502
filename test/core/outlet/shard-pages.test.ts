// A reader that asks for time gets it.

import { expect, it } from "vitest";
import { ShardPages, type Taken } from "../../../src/core/outlet/shard-pages.js";
import { useRooms } from "../room/use-rooms.js";
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
