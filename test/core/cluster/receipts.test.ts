// Markers of rooms whose members are on several nodes: merged, kept and told of once, at the room's owner.

import { expect, it } from "vitest";
import { roomRef } from "../../../src/ports/room-ref.js";
import { type TestCluster, type TestNode, useCluster } from "../use-cluster.js";
import { settle, type TestClient, text } from "../use-core.js";

interface Town {
  readonly cluster: TestCluster;
  readonly roomId: string;
  /** ann, bob and cid, each on a node of their own; the first one's owns the room. */
  readonly clients: readonly [TestClient, TestClient, TestClient];
}

async function useTown(): Promise<Town> {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const connect = (node: number, userId: string) => cluster.node(node).connect(userId);
  const clients = [await connect(0, "ann"), await connect(1, "bob"), await connect(2, "cid")] as const;
  await cluster.node(0).room(clients[0], roomId, "bob", "cid");
  for (const client of clients) await client.ask({ case: "subscribe", value: { roomId } });
  for (const words of ["one", "two", "three"]) await clients[0].ask(text(roomId, words));
  return { cluster, roomId, clients };
}

async function mark(client: TestClient, roomId: string, seq: number, what: "read" | "delivered" = "read") {
  const event = client
    .all("roomEvents")
    .flatMap(({ value }) => value.events)
    .find(({ position }) => position?.seq === seq);
  return await client.ask({ case: "mark", value: { roomId, [what]: event?.position } });
}

function told(client: TestClient): readonly string[] {
  return client.all("markers").flatMap(({ value }) => {
    return value.markers.map(({ userId, deliveredSeq, readSeq }) => `${userId} ${deliveredSeq}/${readSeq}`);
  });
}

/** Each user's marker, as a node says. */
async function markersAt(client: TestClient, roomId: string): Promise<readonly string[]> {
  const answer = await client.ask({ case: "call", value: { rpc: { case: "listMarkers", value: { roomId } } } });
  if (answer.case !== "callResult" || answer.value.rpc.case !== "listMarkers") throw new Error(`${answer.case}`);
  return answer.value.rpc.value.markers.map(({ userId, readSeq }) => `${userId} ${readSeq}`);
}

async function unreadAt(client: TestClient, roomId: string): Promise<number | undefined> {
  const answer = await client.ask({ case: "call", value: { rpc: { case: "listRooms", value: {} } } });
  if (answer.case !== "callResult" || answer.value.rpc.case !== "listRooms") throw new Error(`${answer.case}`);
  return answer.value.rpc.value.rooms.find(({ room }) => room?.roomId === roomId)?.unreadCount;
}

it("tells everybody once of what members on three nodes have marked, and says the same on each", async () => {
  const { clients, roomId } = await useTown();
  for (const [index, client] of clients.entries()) expect((await mark(client, roomId, index + 2)).case).toBe("done");
  await settle();
  // Own markers come to the inbox too.
  for (const client of clients) {
    expect([...new Set(told(client))].sort()).toEqual(["ann 2/2", "bob 3/3", "cid 4/4"]);
    expect(told(client)).toHaveLength(4);
    expect(await markersAt(client, roomId)).toEqual(["ann 2", "bob 3", "cid 4"]);
  }
});

it("counts what a user has marked on one node at once on another, and merges both", async () => {
  const { cluster, roomId, clients } = await useTown();
  const [, bob] = clients;
  const tablet = await cluster.node(2).connect("bob", { token: "tablet", device: { deviceId: "tablet" } });
  await tablet.ask({ case: "subscribe", value: { roomId } });
  expect(await unreadAt(bob, roomId)).toBe(3);
  await mark(bob, roomId, 3);
  expect([await unreadAt(bob, roomId), await unreadAt(tablet, roomId)]).toEqual([1, 1]);
  // The furthest counts, whoever says it, in whatever order.
  await mark(bob, roomId, 2);
  await mark(bob, roomId, 4, "delivered");
  expect((await markersAt(tablet, roomId)).filter((marker) => marker.startsWith("bob"))).toEqual(["bob 3"]);
  expect([await unreadAt(bob, roomId), await unreadAt(tablet, roomId)]).toEqual([1, 1]);
});

it("refuses a mark as the owner does", async () => {
  const { cluster, roomId, clients } = await useTown();
  const [, bob] = clients;
  const beyond = await bob.ask({ case: "mark", value: { roomId, read: { seq: 99, tag: 1 } } });
  expect(beyond).toMatchObject({ case: "error", value: { field: "mark.read" } });
  const eve = await cluster.node(1).connect("eve");
  expect(await eve.ask({ case: "mark", value: { roomId, read: { seq: 1, tag: 1 } } })).toMatchObject({ case: "error" });
});

async function moveTo(town: Town, node: TestNode): Promise<void> {
  await town.cluster.move(town.cluster.shardOf(town.roomId), node);
  await settle();
}

it("loses nothing that was marked when the room's shard is handed over, and tells what was not told yet", async () => {
  const town = await useTown();
  const { cluster, roomId, clients } = town;
  const [ann, bob, cid] = clients;
  await mark(bob, roomId, 2);
  await mark(bob, roomId, 3);
  expect(told(cid)).toEqual(["bob 2/2"]);
  await moveTo(town, cluster.node(2));
  expect(told(cid)).toEqual(["bob 2/2", "bob 3/3"]);
  expect((await cluster.engine.archive.marker(roomRef("acme", roomId), "bob"))?.readSeq).toBe(3);
  for (const client of [ann, bob, cid]) expect(await markersAt(client, roomId)).toEqual(["bob 3"]);
  await mark(bob, roomId, 4);
  await moveTo(town, cluster.node(0));
  for (const client of [ann, bob, cid]) expect(await markersAt(client, roomId)).toEqual(["bob 4"]);
});

it("keeps what was marked at the new owner, though the former one stores late what it has", async () => {
  const town = await useTown();
  const { cluster, roomId, clients } = town;
  const [, bob] = clients;
  const ref = roomRef("acme", roomId);
  await mark(bob, roomId, 2);
  await cluster.elapse(2_000);
  const former = await cluster.engine.archive.marker(ref, "bob");
  if (former === undefined) throw new Error("the marker is not stored");
  cluster.seize(cluster.shardOf(roomId), cluster.node(1));
  await settle();
  expect((await mark(bob, roomId, 4)).case).toBe("done");
  const late = { ...former, readSeq: 3, revision: former.revision + 1 };
  await cluster.engine.archive.putMarkers([{ room: ref, document: late }]);
  await cluster.elapse(2_000);
  expect((await cluster.engine.archive.marker(ref, "bob"))?.readSeq).toBe(4);
});
