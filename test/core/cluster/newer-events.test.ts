// A node among newer ones: it owns no shard whose events it cannot fold, and tells of them all the same.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { levelOf, NewerEvents } from "../../../src/ports/event-level.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { useCluster } from "../use-cluster.js";
import { settle, text } from "../use-core.js";

/** A field of events that no version has yet, of length 1. */
const UNKNOWN_FIELD = [0xfa, 0x3e, 0x01, 0x00];

/** As a newer node has written it. */
function newer(seq: number): EncodedEvent {
  const event = create(RoomEventSchema, { position: { seq, tag: 7 }, eventId: "newer" });
  return EncodedEvent.decode(new Uint8Array([...toBinary(RoomEventSchema, event), ...UNKNOWN_FIELD]));
}

/** A room whose shard ends with an event that only newer nodes know. */
async function useNewer() {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const shard = cluster.shardOf(roomId);
  const other = cluster.node(1);
  const ann = await other.connect("ann");
  await other.room(ann, roomId, "bob");
  await ann.ask({ case: "subscribe", value: { roomId } });
  cluster.abandon(shard);
  const { log, fanout } = cluster.engine;
  const { end } = await log.open(shard);
  const room = roomRef("acme", roomId);
  const event = newer(2);
  const changes = { events: [], rooms: [], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [] };
  expect((await log.append(shard, end, { records: [{ room, event }], changes })).status).toBe("durable");
  return { cluster, roomId, shard, other, ann, announce: () => fanout.announce(room, [event]) };
}

describe("a shard with events of a newer version", () => {
  it("is declined by a node that cannot fold them, which says so and goes on with its others", async () => {
    const { cluster, roomId, shard, other, ann } = await useNewer();
    const told: number[] = [];
    other.telemetry.on("shard.newer", (data) => told.push(data.shard));
    const before = [...other.placement.held];
    cluster.seize(shard, other);
    await cluster.elapse(2_000);
    expect(told).toEqual([shard]);
    expect([...other.placement.declined]).toEqual([shard]);
    expect(other.core.shards()[shard]?.is).toBe("closed");
    expect([...other.placement.held]).toEqual(before);
    const ref = ann.send(text(roomId, "k"));
    await cluster.elapse(5_000);
    expect(ann.reply(ref)).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE, retryable: true } });
  });

  it("tells its readers of them, on whatever node, and goes on behind them", async () => {
    const { ann, roomId, announce } = await useNewer();
    announce();
    await settle();
    expect(ann.seqs(roomId)).toEqual([2]);
  });
});

it("lets nothing be written that a node of the cluster cannot fold, until that has gone or is of the new version", async () => {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(0).connect("ann");
  await cluster.node(0).room(ann, roomId, "bob");
  cluster.node(0).placement.level = 0;
  const refused = await ann.ask(text(roomId, "k"));
  expect(refused).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE, retryAfterMs: 5_000 } });
  cluster.node(0).placement.level = 1;
  expect((await ann.ask(text(roomId, "k"))).case).toBe("published");
});

it("knows the level of every kind that it can fold, and of no other", () => {
  const { oneofs } = RoomEventSchema;
  const kinds = oneofs.find(({ name }) => name === "kind")?.fields ?? [];
  for (const { localName } of kinds) {
    expect(
      levelOf(
        create(RoomEventSchema, { kind: { case: localName, value: {} } } as MessageInitShape<typeof RoomEventSchema>),
      ),
    ).toBeGreaterThan(0);
  }
  expect(() => levelOf(newer(1).event)).toThrow(NewerEvents);
});
