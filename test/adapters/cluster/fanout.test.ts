// The fan-out over a real Redis: what it promises every engine, and what becomes of it when its connections die.

import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { RedisFanout } from "../../../src/adapters/cluster/redis-fanout.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { describeFanout } from "../../contract/fanout.js";
import { eventChange, newRoom } from "../../contract/samples.js";
import { cutChannels, describeEachRedis, type RedisOfNode, redisOfNode, someShard } from "./use-redis.js";

interface Node extends RedisOfNode {
  readonly nodeId: string;
  readonly fanout: RedisFanout;
}

async function startNode(address: RedisAddress, prefix: string): Promise<Node> {
  const nodeId = randomUUID();
  const own = await redisOfNode(address, nodeId, prefix);
  const { redis: publisher, channels } = own;
  const fanout = new RedisFanout({ publisher, channels, nodeId, prefix, shardOf: someShard, onFault: () => {} });
  return {
    ...own,
    nodeId,
    fanout,
    stop: () => {
      fanout.stop();
      own.stop();
    },
  };
}

describeEachRedis("a fan-out over Redis", (subject) => {
  describeFanout("one node", async () => {
    const node = await startNode(subject().address, randomUUID());
    return { owner: node.fanout, listener: node.fanout, close: async () => node.stop() };
  });

  describeFanout("two nodes", async () => {
    const [owner, listener] = await startNodes();
    return {
      owner: owner.fanout,
      listener: listener.fanout,
      close: async () => {
        owner.stop();
        listener.stop();
      },
    };
  });

  function startNodes(): Promise<[Node, Node]> {
    const prefix = randomUUID();
    const { address } = subject();
    return Promise.all([startNode(address, prefix), startNode(address, prefix)]);
  }

  async function useNodes(): Promise<readonly [Node, Node]> {
    const nodes = await startNodes();
    onTestFinished(() => {
      for (const node of nodes) node.stop();
    });
    return nodes;
  }

  it("says that something may be missing once a lost connection is there again, and hears everything from then on", async () => {
    const [owner, other] = await useNodes();
    const room = newRoom();
    const missed = Promise.withResolvers<number | undefined>();
    const heard = Promise.withResolvers<number>();
    await other.fanout.subscribe(room, ([event]) => heard.resolve(event?.seq ?? 0), undefined, missed.resolve);
    await cutChannels(owner.redis, other.nodeId);
    expect(await missed.promise).toBeUndefined();
    owner.fanout.announce(room, [eventChange(room, 4).event]);
    expect(await heard.promise).toBe(4);
  });

  it("refuses a subscription where nothing can be listened to", async () => {
    const [, other] = await useNodes();
    other.channels.stop();
    await expect(other.fanout.subscribe(newRoom(), () => {})).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });

  it("neither throws nor waits while nothing can be published, and tells its own node all the same", async () => {
    const [owner] = await useNodes();
    const room = newRoom();
    const heard: number[] = [];
    await owner.fanout.subscribe(room, (events) => heard.push(...events.map(({ seq }) => seq)));
    owner.redis.disconnect();
    owner.fanout.announce(room, [eventChange(room, 1).event]);
    expect(heard).toEqual([1]);
  });

  it("tells whether what was said again is on its way", async () => {
    const [owner] = await useNodes();
    const room = newRoom();
    expect(await owner.fanout.top(room, 7)).toBe(true);
    owner.redis.disconnect();
    expect(await owner.fanout.top(room, 7)).toBe(false);
    owner.fanout.stop();
    expect(await owner.fanout.top(room, 7)).toBe(false);
  });

  it("is available once a probe has come back", async () => {
    const [owner] = await useNodes();
    await expect.poll(() => owner.channels.available).toBe(true);
  });
});

it("does not wait for a Redis that is not there", async () => {
  const options = { name: "test", deadlineMs: 200, onError: () => {} };
  const nowhere: readonly RedisAddress[] = [
    { url: "redis://127.0.0.1:1" },
    { sentinels: ["127.0.0.1:1"], master: "main" },
    { cluster: ["127.0.0.1:1"] },
  ];
  for (const address of nowhere) {
    await expect(connectRedis(address, options)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  }
});
