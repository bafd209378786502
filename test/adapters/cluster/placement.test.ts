// Placement over a real Redis.

import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { LeasePlacement } from "../../../src/adapters/cluster/placement/lease-placement.js";
import { RedisLeases } from "../../../src/adapters/cluster/placement/redis-leases.js";
import { Rendezvous } from "../../../src/adapters/cluster/placement/rendezvous.js";
import { connectRedis, type RedisCommands } from "../../../src/adapters/cluster/redis.js";
import { describeLeases } from "../../contract/leases.js";
import { describePlacement, type PlacementSubject } from "../../contract/placement.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { describeEachRedis, heardAll, type RedisOfNode, type RedisSubject, redisOfNode } from "./use-redis.js";

const SHARDS = 16;
const ROUND_MS = 1_000;
/** The first arguments of the script. */
const KEYS = 3;
/** Steps in which a round passes, and turns in each after which everything that follows has been asked and answered. */
const STEPS = 4;
const TURNS = 8;

interface ClusterOptions {
  /** Which master the node that came after so many others finds: each knows what it was told. Default: one. */
  readonly masterOf?: (before: number) => string;
  readonly onReturned?: () => void;
  /** Whether the node that came after so many others can write. */
  readonly able?: (before: number) => boolean;
}

async function cluster(
  redis: RedisSubject,
  { onReturned, able, masterOf }: ClusterOptions = {},
): Promise<PlacementSubject & { readonly prefix: string }> {
  const prefix = randomUUID();
  const nodes: RedisOfNode[] = [];
  const placements: LeasePlacement[] = [];
  const clock = new StoppedClock();
  /** Redis answers in order, so that what is asked for on each connection comes back after everything asked before. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) {
      await Promise.allSettled(nodes.map((node) => heardAll(node, redis)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    prefix,
    shards: SHARDS,
    node: async (level = 1) => {
      const nodeId = randomUUID();
      const before = nodes.length;
      const own = await redisOfNode(redis.address, nodeId, prefix);
      nodes.push(own);
      const placement = new LeasePlacement({
        leases: new RedisLeases({
          redis: masterOf === undefined ? own.redis : onMaster(own.redis, () => masterOf(before)),
          channels: own.channels,
          prefix,
          leaseClock: () => 1 + clock.now(),
        }),
        clock,
        nodeId,
        address: "127.0.0.1:1",
        shards: SHARDS,
        level,
        ...(onReturned && { onReturned }),
        ...(able && { able: () => able(before) }),
        onFault: () => {},
      });
      placements.push(placement);
      return {
        placement,
        cutOff: () => own.stop(),
      };
    },
    rounds: async (count) => {
      for (let step = 0; step < count * STEPS; step++) {
        clock.advance(ROUND_MS / STEPS);
        await settle();
      }
    },
    forget: async () => {
      const admin = await connectRedis(redis.address, { name: "test", onError: () => {} });
      await admin.del(`${prefix}:{placement}:nodes`, `${prefix}:{placement}:leases`);
      admin.disconnect();
    },
    dueTo: (shard, nodeIds) => new Rendezvous().owner(shard, nodeIds),
    close: async () => {
      for (const placement of placements) placement.stop();
      for (const node of nodes) node.stop();
    },
  };
}

/** The same Redis, in which each master has keys of its own. */
function onMaster(redis: RedisCommands, master: () => string): RedisCommands {
  return new Proxy(redis, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const method = value.bind(target);
      if (name !== "trunklinePlace") return method;
      return (...args: readonly (string | number)[]) =>
        method(...args.map((arg, at) => (at < KEYS ? `${arg}:${master()}` : arg)));
    },
  });
}

describeEachRedis("leases in Redis", (redis) => {
  describeLeases("Redis", async () => {
    const prefix = randomUUID();
    const clock = new StoppedClock();
    const nodes: RedisOfNode[] = [];
    return {
      node: async () => {
        const own = await redisOfNode(redis().address, randomUUID(), prefix);
        nodes.push(own);
        return new RedisLeases({ ...own, prefix, roundMs: ROUND_MS, leaseClock: () => 1 + clock.now() });
      },
      rounds: (count) => clock.advance(count * ROUND_MS),
      close: async () => {
        for (const node of nodes) node.stop();
      },
    };
  });

  describePlacement("Redis", () => cluster(redis()));

  it("are taken again after Redis was emptied", async () => {
    const subject = await cluster(redis());
    onTestFinished(() => subject.close());
    const admin = await connectRedis(redis().address, { name: "test", onError: () => {} });
    onTestFinished(() => admin.disconnect());
    const { placement } = await subject.node();
    await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    await admin.del(`${subject.prefix}:{placement}:nodes`, `${subject.prefix}:{placement}:leases`);
    const second = await subject.node();
    await second.placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    await subject.rounds(6);
    for (const node of [placement, second.placement]) {
      expect(node.nodes()).toHaveLength(2);
      for (let shard = 0; shard < SHARDS; shard++) expect(node.ownerOf(shard)).toBeDefined();
    }
  });
});

describeEachRedis("a node that Redis has forgotten", (redis) => {
  it("is told that it was away, each time and no more often", async () => {
    let returns = 0;
    const subject = await cluster(redis(), { onReturned: () => void returns++ });
    onTestFinished(() => subject.close());
    const admin = await connectRedis(redis().address, { name: "test", onError: () => {} });
    onTestFinished(() => admin.disconnect());
    const { placement } = await subject.node();
    await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    await subject.rounds(2);
    expect(returns).toBe(0);
    for (const times of [1, 2]) {
      await admin.hdel(`${subject.prefix}:{placement}:nodes`, placement.nodeId);
      await subject.rounds(3);
      expect(returns).toBe(times);
    }
  });
});

describeEachRedis("shards of nodes that have found two masters", (redis) => {
  it.each([1, 6, 12])("come to the share of each node when there is one again after %i rounds", async (apart) => {
    const masters = ["old", "old", "old", "old"];
    const subject = await cluster(redis(), { masterOf: (before) => masters[before] ?? "" });
    onTestFinished(() => subject.close());
    const all = Array.from({ length: SHARDS }, (_, shard) => shard);
    const nodes = await Promise.all(
      masters.map(async () => {
        const { placement } = await subject.node();
        await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
        return placement;
      }),
    );
    const ids = nodes.map(({ nodeId }) => nodeId);
    const rendezvous = new Rendezvous();
    const share = all.map((shard) => rendezvous.owner(shard, ids));
    await subject.rounds(8);
    expect(nodes.map((node) => all.map((shard) => node.ownerOf(shard)?.nodeId))).toEqual(nodes.map(() => share));
    masters.fill("new", 2);
    await subject.rounds(apart);
    masters.fill("new");
    await subject.rounds(12);
    expect(nodes.map((node) => all.map((shard) => node.ownerOf(shard)?.nodeId))).toEqual(nodes.map(() => share));
    for (const node of nodes) {
      expect(all.filter((shard) => node.holds(shard))).toEqual(all.filter((shard) => share[shard] === node.nodeId));
    }
  });
});

describeEachRedis("shards of a node that cannot write", (redis) => {
  /** Two nodes with a share each, what they may do and what became of their shards. */
  async function shared() {
    const able = [true, true];
    const subject = await cluster(redis(), { able: (before) => able[before] ?? true });
    onTestFinished(() => subject.close());
    const told: string[] = [];
    const join = async (name: string) => {
      const { placement } = await subject.node();
      await placement.start({
        gained: () => {},
        lost: (shard) => void told.push(`${name} lost ${shard}`),
        yields: async (shard) => void told.push(`${name} yields ${shard}`),
      });
      return placement;
    };
    const nodes = [await join("one"), await join("two")] as const;
    const shares = () =>
      nodes.map((node) => Array.from({ length: SHARDS }, (_, shard) => shard).filter((shard) => node.holds(shard)));
    await subject.rounds(6);
    told.length = 0;
    return { able, told, shares, rounds: subject.rounds };
  }

  it("are handed over to one that can, and come back", async () => {
    const { able, told, shares, rounds } = await shared();
    const [before, others] = shares();
    expect(before).not.toEqual([]);
    able[0] = false;
    await rounds(6);
    expect(shares()[0]).toEqual([]);
    expect(shares()[1]).toHaveLength(SHARDS);
    expect(told.toSorted()).toEqual(before?.map((shard) => `one yields ${shard}`).toSorted());
    able[0] = true;
    await rounds(6);
    expect(shares()).toEqual([before, others]);
  });

  it("stay where they are while no node can, though one notices before the other", async () => {
    const { able, told, rounds } = await shared();
    for (const can of [false, true]) {
      able[0] = can;
      await rounds(1);
      able[1] = can;
      await rounds(10);
    }
    expect(told).toEqual([]);
  });
});

it("moves only the share of a node that comes", () => {
  const nodes = ["a", "b", "c"];
  const shards = Array.from({ length: 300 }, (_, shard) => shard);
  const rendezvous = new Rendezvous();
  const before = shards.map((shard) => rendezvous.owner(shard, nodes));
  const after = shards.map((shard) => rendezvous.owner(shard, [...nodes, "d"]));
  expect(shards.map((shard) => new Rendezvous().owner(shard, ["d", ...nodes]))).toEqual(after);
  const moved = shards.filter((shard) => before[shard] !== after[shard]);
  expect(moved.every((shard) => after[shard] === "d")).toBe(true);
  expect(moved.length).toBeGreaterThan(40);
  expect(moved.length).toBeLessThan(120);
  expect(rendezvous.owner(1, [])).toBeUndefined();
});
