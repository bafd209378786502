// What follows from events, where shards go from node to node.

import { clone, create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { SubmitSchema } from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { DeadLetterDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomEventSchema, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { RecordingTarget } from "../outlet/use-sink.js";
import { type TestCluster, useCluster } from "../use-cluster.js";
import { gate, settle, type TestClient, text } from "../use-core.js";
import { openInbox, told } from "../user/use-inbox.js";

async function mention(client: TestClient, roomId: string, key: string, userId: string): Promise<void> {
  const body = { kind: { case: "text" as const, value: "look" } };
  await client.ask({ case: "publish", value: { roomId, clientMessageId: key, body, mentions: [{ userId }] } });
}

/** How often the user was named, as their inbox says. */
function mentions(client: TestClient): number {
  return told(client).filter((event) => event.case === "mentioned").length;
}

function everyShard(cluster: TestCluster): readonly number[] {
  return Array.from({ length: cluster.engine.shards }, (_, shard) => shard);
}

it("names a user once, also when the room's and the inbox's shards change hands between the message and its effect", async () => {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(0).connect("ann");
  const bob = await cluster.node(1).connect("bob");
  await cluster.node(0).room(ann, roomId, "bob");
  await openInbox(bob);
  await settle();
  for (const [round, to] of [1, 2, 0, 1].entries()) {
    // The effect cannot be made, or was made and nobody remembers it.
    const [inboxAway, handedOver] = [round % 2 === 0, round < 2];
    if (inboxAway)
      for (const shard of everyShard(cluster)) if (shard !== cluster.shardOf(roomId)) cluster.abandon(shard);
    await mention(ann, roomId, `m${round}`, "bob");
    const shard = cluster.shardOf(roomId);
    if (handedOver) await cluster.move(shard, cluster.node(to));
    else cluster.seize(shard, cluster.node(to));
    for (const other of everyShard(cluster)) {
      if (other !== shard && inboxAway) cluster.seize(other, cluster.node((to + other) % 3));
    }
    await cluster.elapse(10_000);
    expect(mentions(bob)).toBe(round + 1);
  }
});

it("goes on with a shard's events where its former owner was, and the former one moves nothing any more", async () => {
  const engine = new MemoryEngine({ archivesOnAppend: false });
  const target = new RecordingTarget();
  const held = gate<void>();
  const events = [{ name: "orders", sink: target }];
  const cluster = await useCluster({ engine, outlets: { store: engine.outlets, events } });
  const roomId = cluster.roomIdOf(0);
  const shard = cluster.shardOf(roomId);
  const ann = await cluster.node(1).connect("ann");
  await cluster.node(1).room(ann, roomId);
  await ann.ask(text(roomId, "one"));
  expect(target.seqs(roomId)).toEqual([1, 2]);
  await cluster.move(shard, cluster.node(1));
  await ann.ask(text(roomId, "two"));
  expect(target.seqs(roomId)).toEqual([1, 2, 3]);
  // Handed over while the target has not answered: the next owner hands it over too, and the place of the former one stays.
  target.hold = held.promise;
  await ann.ask(text(roomId, "three"));
  cluster.seize(shard, cluster.node(2));
  await settle();
  target.hold = undefined;
  const place = await engine.archive.followed("events.orders", shard);
  target.refuses = () => true;
  held.resolve();
  await settle();
  expect(await engine.archive.followed("events.orders", shard)).toBe(place);
  // What the former owner failed to hand over is not set aside by it.
  expect(await engine.outlets.parked("events.orders", [shard])).toHaveLength(1);
  target.refuses = () => false;
  await ann.ask(text(roomId, "four"));
  await cluster.elapse(10_000);
  expect(new Set(target.seqs(roomId))).toEqual(new Set([1, 2, 3, 4, 5]));
  expect(await engine.outlets.parked("events.orders", [shard])).toEqual([]);
});

it("tries again at the new owner what the former one has set aside, in the order of the room", async () => {
  const engine = new MemoryEngine({ archivesOnAppend: false });
  const target = new RecordingTarget();
  const events = [{ name: "orders", sink: target }];
  const cluster = await useCluster({ engine, outlets: { store: engine.outlets, events } });
  const roomId = cluster.roomIdOf(0);
  const shard = cluster.shardOf(roomId);
  const ann = await cluster.node(1).connect("ann");
  await cluster.node(1).room(ann, roomId);
  target.refuses = () => true;
  for (const words of ["one", "two"]) await ann.ask(text(roomId, words));
  expect(await engine.outlets.parked("events.orders", [shard])).toHaveLength(1);
  const tries = target.tries;
  await cluster.move(shard, cluster.node(2));
  await ann.ask(text(roomId, "three"));
  target.refuses = () => false;
  await cluster.elapse(5_000);
  expect(target.tries).toBeGreaterThan(tries);
  expect(target.seqs(roomId)).toEqual([1, 2, 3, 4]);
  expect(await engine.outlets.parked("events.orders", [shard])).toEqual([]);
});

it("tries a dead letter once more at one node, whoever owns its room", async () => {
  const engine = new MemoryEngine({ archivesOnAppend: false });
  const target = new RecordingTarget();
  const events = [{ name: "orders", sink: target }];
  const cluster = await useCluster({ engine, outlets: { store: engine.outlets, events } });
  const rooms = [0, 1, 2].map((index) => cluster.roomIdOf(index));
  const ann = await cluster.node(0).connect("ann");
  for (const roomId of rooms) await cluster.node(0).room(ann, roomId);
  await settle();
  const batches = target.batches.length;
  for (const roomId of rooms) {
    const letter = { letterId: `l-${roomId}`, tenantId: "acme", roomId, firstSeq: 1, lastSeq: 1 };
    await engine.outlets.bury("events.orders", create(DeadLetterDocumentSchema, letter));
    await engine.outlets.retry("events.orders", letter.letterId);
  }
  await cluster.elapse(12_000);
  expect(
    target.batches
      .slice(batches)
      .map(({ rooms: [run] }) => run?.room.roomId)
      .sort(),
  ).toEqual([...rooms].sort());
  expect(await engine.outlets.deadLetters("events.orders", { after: "", limit: 10 })).toEqual([]);
});

it("ends each expired message once, at the node that owns its room, and goes on where shards move", async () => {
  const cluster = await useCluster();
  const rooms = [0, 1, 2].map((index) => cluster.roomIdOf(index));
  const ann = await cluster.node(0).connect("ann");
  const body = { kind: { case: "text" as const, value: "soon gone" } };
  for (const roomId of rooms) {
    await cluster.node(0).room(ann, roomId);
    const value = { roomId, clientMessageId: "fleeting", body, expiresAfterMs: 5_000 };
    expect((await ann.ask({ case: "publish", value })).case).toBe("published");
  }
  await cluster.move(cluster.shardOf(rooms[0] ?? ""), cluster.node(1));
  const asked = cluster.asked.length;
  await cluster.elapse(8_000);
  for (const roomId of rooms) {
    const range = { from: 1, to: 99, limit: 99, maxBytes: 99_999 };
    const stored = await cluster.engine.archive.events(roomRef("acme", roomId), range);
    expect(stored.map(({ event }) => event.kind.case)).toEqual(["roomCreated", "messageCreated", "messageDeleted"]);
  }
  // Nobody has ended one of another's rooms.
  expect(cluster.asked.slice(asked).filter(({ question }) => question.case === "submit")).toEqual([]);
});

it("archives each idle room once, at the node that owns it, whoever walks through them", async () => {
  const cluster = await useCluster();
  const rooms = [0, 1, 2].map((index) => cluster.roomIdOf(index));
  const ann = await cluster.node(0).connect("ann");
  for (const roomId of rooms) {
    const value = { roomId, key: "make", settings: { archiveAfterS: 60 } };
    await ann.ask({ case: "call", value: { rpc: { case: "createRoom", value } } });
  }
  await cluster.elapse(30_000);
  cluster.seize(cluster.shardOf(rooms[0] ?? ""), cluster.node(1));
  const asked = cluster.asked.length;
  await cluster.elapse(40_000);
  for (const roomId of rooms) {
    const range = { from: 1, to: 99, limit: 99, maxBytes: 99_999 };
    const stored = await cluster.engine.archive.events(roomRef("acme", roomId), range);
    expect(stored.map(({ event }) => event.kind.case)).toEqual(["roomCreated", "roomUpdated"]);
  }
  expect(cluster.asked.slice(asked).filter(({ question }) => question.case === "submit")).toEqual([]);
});

it("tells an inbox what its owner does not know yet once it does", async () => {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(0).connect("ann");
  const bob = await cluster.node(1).connect("bob");
  await cluster.node(0).room(ann, roomId, "bob");
  await openInbox(bob);
  await cluster.elapse(1_000);
  // An older node reads an event of a kind that it does not know as one of none.
  const carry = cluster.carry.bind(cluster);
  let older = true;
  cluster.carry = (from, to, question) => {
    if (!older || question.case !== "submit" || question.value.command?.kind.case !== "tell")
      return carry(from, to, question);
    const asked = clone(SubmitSchema, question.value);
    if (asked.command?.kind.case === "tell") asked.command.kind.value.event = create(RoomEventSchema);
    return carry(from, to, { case: "submit", value: asked });
  };
  for (const shard of everyShard(cluster)) if (shard !== cluster.shardOf(roomId)) cluster.seize(shard, cluster.node(2));
  await cluster.elapse(1_000);
  await mention(ann, roomId, "m", "bob");
  await cluster.elapse(5_000);
  expect(mentions(bob)).toBe(0);
  older = false;
  await cluster.elapse(31_000);
  const again = await cluster.node(1).connect("bob");
  await openInbox(again);
  expect(mentions(again)).toBe(1);
});

it("begins in a new shard with its first event, also where that could not be remembered before the owner changed", async () => {
  const engine = new MemoryEngine({ archivesOnAppend: false });
  const target = new RecordingTarget();
  const follow = engine.archive.follow.bind(engine.archive);
  let away = true;
  engine.archive.follow = (...place) => (away ? Promise.reject(new Error("away")) : follow(...place));
  const cluster = await useCluster({
    engine,
    outlets: { store: engine.outlets, events: [{ name: "orders", sink: target }] },
  });
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(1).connect("ann");
  const create = { roomId, key: "create", kind: RoomKind.GROUP };
  const made = ann.ask({ case: "call", value: { rpc: { case: "createRoom", value: create } } });
  await cluster.elapse(2_000);
  cluster.seize(cluster.shardOf(roomId), cluster.node(2));
  away = false;
  await cluster.elapse(40_000);
  await made.catch(() => {});
  const again = await cluster.node(1).connect("ann");
  await again.ask({ case: "call", value: { rpc: { case: "createRoom", value: create } } });
  await again.ask(text(roomId, "one"));
  await cluster.elapse(2_000);
  expect(target.seqs(roomId)).toEqual([1, 2]);
});
