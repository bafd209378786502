// Tails at nodes of a cluster: all of a tenant's events, whichever node owns their rooms.

import { expect, it } from "vitest";
import { MemoryEngine } from "../../support/memory-engine.js";
import { useTail } from "../delivery/use-delivery.js";
import { type TestCluster, useCluster } from "../use-cluster.js";
import { settle, type TestClient, text } from "../use-core.js";

/** A room of each node, made by ann; a fourth node owns none. */
async function useRooms(
  engine?: MemoryEngine,
): Promise<{ cluster: TestCluster; rooms: readonly string[]; ann: TestClient }> {
  const cluster = await useCluster({ nodes: 4, ...(engine && { engine }) });
  const idle = cluster.node(3);
  for (const shard of [...idle.placement.held]) await cluster.move(shard, cluster.node(0));
  await settle();
  const ann = await cluster.node(0).connect("ann");
  const rooms = [0, 1, 2].map((index) => cluster.roomIdOf(index));
  for (const roomId of rooms) await cluster.node(0).room(ann, roomId);
  return { cluster, rooms, ann };
}

it("shows at a node that owns nothing what all nodes append, each room in order, and nothing of before", async () => {
  const { cluster, rooms, ann } = await useRooms();
  const tail = await useTail(cluster.node(3));
  expect(tail.places).toEqual([]);
  for (const words of ["a", "b", "c"]) {
    for (const roomId of rooms) await ann.ask(text(roomId, `${words}-${roomId}`));
    await cluster.elapse(250);
  }
  await cluster.elapse(2_000);
  for (const roomId of rooms) {
    const places = tail.places.filter((place) => place.startsWith(`${roomId} `));
    expect(places).toEqual([2, 3, 4].map((seq) => `${roomId} ${seq}`));
  }
});

it("goes on from its cursor at another node, and follows a shard that moves", async () => {
  const { cluster, rooms, ann } = await useRooms();
  const [roomId = ""] = rooms;
  const tail = await useTail(cluster.node(1));
  await ann.ask(text(roomId, "one"));
  await cluster.elapse(2_000);
  expect(tail.places).toEqual([`${roomId} 2`]);
  tail.abort.abort();
  await cluster.move(cluster.shardOf(roomId), cluster.node(2));
  await settle();
  expect((await ann.ask(text(roomId, "two"))).case).toBe("published");
  const again = await useTail(cluster.node(3), { cursor: tail.cursor });
  await ann.ask(text(roomId, "three"));
  await cluster.elapse(2_000);
  expect(again.places).toEqual([`${roomId} 3`, `${roomId} 4`]);
});

it("outlives all that its shards hold, where that is nothing but void records", async () => {
  const { cluster, rooms } = await useRooms(new MemoryEngine({ archivesOnAppend: false, leavesVoids: true }));
  const [roomId = ""] = rooms;
  const shard = cluster.shardOf(roomId);
  const tail = await useTail(cluster.node(3));
  const { cursor } = tail;
  await cluster.move(shard, cluster.node(2));
  await cluster.elapse(75_000);
  cluster.engine.expire(shard);
  const ann = await cluster.node(0).connect("ann");
  await ann.ask(text(roomId, "one"));
  await cluster.elapse(2_000);
  expect([tail.places, tail.ended]).toEqual([[`${roomId} 2`], undefined]);
  expect(tail.responses[1]).toMatchObject({ roomId: "", events: [], cursor: expect.not.stringMatching(cursor) });
});
