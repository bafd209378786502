// What becomes of the adapters over Redis when its masters die, and when slots move.

import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { LeasePlacement } from "../../../src/adapters/cluster/placement/lease-placement.js";
import { RedisLeases } from "../../../src/adapters/cluster/placement/redis-leases.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { RedisFanout } from "../../../src/adapters/cluster/redis-fanout.js";
import { slotOf } from "../../../src/adapters/cluster/redis-slot.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import type { RoomRef } from "../../../src/ports/room-ref.js";
import { eventChange, newRoom } from "../../contract/samples.js";
import { RedisClusterServers } from "../../support/services/redis-cluster.js";
import { startSentinel } from "../../support/services/redis-sentinel.js";
import { FastClock } from "./fast-clock.js";
import { describeWithServers, type RedisOfNode, redisOfNode, someShard, useServers } from "./use-redis.js";

const SHARDS = 8;
/** A lease of three rounds is over before another master is named, or else outlives whatever moves. */
const SHORT_ROUND_MS = 100;
const LONG_ROUND_MS = 1_000;
/** Redis itself takes a second or two to name another master. */
const DEADLINE = { timeout: 15_000, interval: 50 };
const TEST_MS = 40_000;
/** A node that brings nothing is one after six seconds: a tenth of it here. */
const HASTE = 10;
const PAUSE_MS = 1_500;

class Node {
  readonly owned = new Set<number>();
  readonly told: string[] = [];
  readonly fanout: RedisFanout;
  readonly placement: LeasePlacement;
  readonly redis: RedisOfNode;

  private constructor(redis: RedisOfNode, nodeId: string, prefix: string, roundMs: number) {
    this.redis = redis;
    const onFault = (): void => {};
    const { channels } = redis;
    this.fanout = new RedisFanout({
      publisher: redis.redis,
      channels,
      nodeId,
      prefix,
      shardOf: someShard,
      onFault,
    });
    this.placement = new LeasePlacement({
      leases: new RedisLeases({ redis: redis.redis, channels, prefix, roundMs }),
      clock: createSystemClock(),
      nodeId,
      address: "127.0.0.1:1",
      shards: SHARDS,
      level: 1,
      onFault,
    });
  }

  static async start(address: RedisAddress, prefix: string, roundMs: number): Promise<Node> {
    const nodeId = randomUUID();
    const node = new Node(await redisOfNode(address, nodeId, prefix), nodeId, prefix, roundMs);
    await node.placement.start({
      gained: (shard) => {
        node.owned.add(shard);
        node.told.push("gained");
      },
      lost: (shard) => {
        node.owned.delete(shard);
        node.told.push("lost");
      },
      yields: async (shard) => {
        node.owned.delete(shard);
      },
    });
    return node;
  }

  stop(): void {
    this.placement.stop();
    this.fanout.stop();
    this.redis.stop();
  }
}

async function useNodes(address: RedisAddress, roundMs: number) {
  const prefix = randomUUID();
  const [owner, listener] = await Promise.all([
    Node.start(address, prefix, roundMs),
    Node.start(address, prefix, roundMs),
  ]);
  onTestFinished(() => {
    owner.stop();
    listener.stop();
  });
  const nodes = [owner, listener];
  return {
    prefix,
    owner,
    listener,
    nodes,
    /** Every shard is owned, and by one of them. */
    allOwned: () => expect.poll(() => nodes.flatMap(({ owned }) => [...owned]).sort(), DEADLINE).toEqual(EVERY_SHARD),
  };
}

const EVERY_SHARD = Array.from({ length: SHARDS }, (_, shard) => shard);

/** A room that a node listens to: what it hears, and how often it is told that something may be missing. */
async function hearing(node: Node, room: RoomRef) {
  const heard: number[] = [];
  const gaps: (number | undefined)[] = [];
  await node.fanout.subscribe(
    room,
    (events) => heard.push(...events.map(({ seq }) => seq)),
    undefined,
    (top) => gaps.push(top),
  );
  return { heard, gaps };
}

/** Says something until it is heard: what is said while nobody takes it is lost. */
async function isHeard(owner: Node, room: RoomRef, heard: readonly number[]): Promise<void> {
  const before = heard.length;
  let seq = 100;
  const says = (): number => {
    owner.fanout.announce(room, [eventChange(room, seq++).event]);
    return heard.length;
  };
  await expect.poll(says, DEADLINE).toBeGreaterThan(before);
}

/** A room whose shard's channels are, or are not, in the slot of the key. */
function roomOf(prefix: string, isWanted: (key: string) => boolean): RoomRef {
  for (;;) {
    const room = newRoom();
    if (isWanted(`${prefix}:{${someShard(room)}}`)) return room;
  }
}

describeWithServers("a Redis whose master Sentinel names", (command) => {
  const servers = useServers(() => startSentinel(command));

  it("that dies costs no more than what was said meanwhile, and leases are taken anew", {
    timeout: TEST_MS,
  }, async () => {
    const { owner, listener, nodes, allOwned } = await useNodes(servers().address, SHORT_ROUND_MS);
    await allOwned();
    const room = newRoom();
    const { heard, gaps } = await hearing(listener, room);
    await isHeard(owner, room, heard);
    for (const { told } of nodes) told.length = 0;
    await servers().master.stop("SIGKILL");
    await expect.poll(() => gaps, DEADLINE).toEqual([undefined]);
    await isHeard(owner, room, heard);
    await allOwned();
    expect(nodes.flatMap(({ told }) => told)).toContain("lost");
    await expect.poll(() => nodes.map(({ redis }) => redis.channels.available), DEADLINE).toEqual([true, true]);
  });
});

describeWithServers("a Redis Cluster", (command) => {
  const servers = useServers(() => RedisClusterServers.start(command));
  const address = () => ({ cluster: servers().addresses.slice(0, 1) });

  it("in which a slot moves tells its rooms that something may be missing, and no others", {
    timeout: TEST_MS,
  }, async () => {
    const { owner, listener, prefix } = await useNodes(address(), LONG_ROUND_MS);
    const room = newRoom();
    const slot = slotOf(`${prefix}:{${someShard(room)}}`);
    const other = roomOf(prefix, (key) => slotOf(key) !== slot);
    const [moved, stays] = [await hearing(listener, room), await hearing(listener, other)];
    await isHeard(owner, room, moved.heard);
    const from = servers().masterOf(`${prefix}:{${someShard(room)}}`);
    const to = servers().masters.find((node) => node !== from) ?? from;
    await servers().move(slot, to);
    await expect.poll(() => moved.gaps, DEADLINE).toEqual([undefined]);
    await isHeard(owner, room, moved.heard);
    await isHeard(owner, other, stays.heard);
    expect(stays.gaps).toEqual([]);
    // And back again, as the other suites expect it.
    await servers().move(slot, from);
    await expect.poll(() => moved.gaps, DEADLINE).toEqual([undefined, undefined]);
    await isHeard(owner, room, moved.heard);
  });

  it("in which the leases' slot moves takes no lease from anybody", { timeout: TEST_MS }, async () => {
    const { nodes, prefix, allOwned, owner } = await useNodes(address(), LONG_ROUND_MS);
    await allOwned();
    const key = `${prefix}:{placement}`;
    const from = servers().masterOf(key);
    const to = servers().masters.find((node) => node !== from) ?? from;
    await servers().moveWithKeys(slotOf(key), from, to);
    const rounds = await to.admin.hget(`${key}:nodes`, owner.placement.nodeId);
    await expect.poll(() => to.admin.hget(`${key}:nodes`, owner.placement.nodeId), DEADLINE).not.toBe(rounds);
    await allOwned();
    for (const { told } of nodes) expect(told).not.toContain("lost");
    await servers().moveWithKeys(slotOf(key), to, from);
  });

  it("of which one node brings nothing any more is not what a node can hear by", { timeout: TEST_MS }, async () => {
    const prefix = randomUUID();
    const hasty = await redisOfNode(address(), randomUUID(), prefix, { clock: new FastClock(HASTE) });
    onTestFinished(() => hasty.stop());
    const missed: string[] = [];
    const [key = "", other = ""] = servers().keys(prefix);
    for (const name of [key, other]) {
      await hasty.channels.subscribe(name, { message: () => {}, missed: () => missed.push(name) });
    }
    await expect.poll(() => hasty.channels.available, DEADLINE).toBe(true);
    missed.length = 0;
    await servers().masterOf(key).admin.client("PAUSE", PAUSE_MS, "ALL");
    await expect.poll(() => hasty.channels.available, DEADLINE).toBe(false);
    await expect.poll(() => hasty.channels.available, DEADLINE).toBe(true);
    expect(missed).toContain(key);
    expect(missed).not.toContain(other);
  });
});

describeWithServers("a Redis Cluster with replicas", (command) => {
  const servers = useServers(() => RedisClusterServers.start(command, { replicas: true }));

  it("of which a master dies costs no more than what was said meanwhile", { timeout: TEST_MS }, async () => {
    const { owner, listener, prefix, nodes, allOwned } = await useNodes(
      { cluster: servers().addresses },
      SHORT_ROUND_MS,
    );
    await allOwned();
    const placing = servers().masterOf(`${prefix}:{placement}`);
    const room = roomOf(prefix, (key) => servers().masterOf(key) === placing);
    const { heard, gaps } = await hearing(listener, room);
    await isHeard(owner, room, heard);
    await placing.server.stop("SIGKILL");
    await expect.poll(() => gaps.length, DEADLINE).toBeGreaterThan(0);
    await isHeard(owner, room, heard);
    await allOwned();
    await expect.poll(() => nodes.map(({ redis }) => redis.channels.available), DEADLINE).toEqual([true, true]);
  });
});
