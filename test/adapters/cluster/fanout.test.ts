// The fan-out over a real Redis: what it promises every engine, and what becomes of it when its connections die.

import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { RedisFanout } from "../../../src/adapters/cluster/redis-fanout.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { describeFanout } from "../../contract/fanout.js";
import { eventChange, newRoom } from "../../contract/samples.js";
import { describeWith } from "../../support/services/describe-with.js";

interface Node {
  readonly fanout: RedisFanout;
  readonly publisher: Redis;
  readonly subscriber: Redis;
  stop(): Promise<void>;
}

async function startNode(url: string, prefix: string): Promise<Node> {
  const options = { url, name: "test", onError: () => {} };
  const [publisher, subscriber] = await Promise.all([connectRedis(options), connectRedis(options)]);
  const clock = createSystemClock();
  const fanout = new RedisFanout({ publisher, subscriber, clock, nodeId: randomUUID(), prefix, onFault: () => {} });
  await fanout.start();
  return {
    fanout,
    publisher,
    subscriber,
    stop: async () => {
      fanout.stop();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

describeWith("redis", "a fan-out over Redis", (url) => {
  describeFanout("one node", async () => {
    const node = await startNode(url, randomUUID());
    return { owner: node.fanout, listener: node.fanout, close: node.stop };
  });

  describeFanout("two nodes", async () => {
    const prefix = randomUUID();
    const [owner, listener] = await Promise.all([startNode(url, prefix), startNode(url, prefix)]);
    return {
      owner: owner.fanout,
      listener: listener.fanout,
      close: async () => {
        await Promise.all([owner.stop(), listener.stop()]);
      },
    };
  });

  async function useNodes(): Promise<readonly [Node, Node]> {
    const prefix = randomUUID();
    const nodes = await Promise.all([startNode(url, prefix), startNode(url, prefix)]);
    onTestFinished(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    });
    return nodes;
  }

  it("says that something may be missing once a lost connection is there again, and hears everything from then on", async () => {
    const [owner, other] = await useNodes();
    const room = newRoom();
    const missed = Promise.withResolvers<number | undefined>();
    const heard = Promise.withResolvers<number>();
    await other.fanout.subscribe(room, ([event]) => heard.resolve(event?.seq ?? 0), undefined, missed.resolve);
    other.subscriber.disconnect(true);
    expect(await missed.promise).toBeUndefined();
    owner.fanout.announce(room, [eventChange(room, 4).event]);
    expect(await heard.promise).toBe(4);
  });

  it("refuses a subscription while its connection is down", async () => {
    const [, other] = await useNodes();
    other.subscriber.disconnect();
    await expect(other.fanout.subscribe(newRoom(), () => {})).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });

  it("neither throws nor waits while nothing can be published, and tells its own node all the same", async () => {
    const [owner] = await useNodes();
    const room = newRoom();
    const heard: number[] = [];
    await owner.fanout.subscribe(room, (events) => heard.push(...events.map(({ seq }) => seq)));
    owner.publisher.disconnect();
    owner.fanout.announce(room, [eventChange(room, 1).event]);
    expect(heard).toEqual([1]);
  });

  it("is available once a probe has come back", async () => {
    const [owner] = await useNodes();
    await expect.poll(() => owner.fanout.available).toBe(true);
  });
});

it("does not wait for a Redis that is not there", async () => {
  const nowhere = connectRedis({ url: "redis://127.0.0.1:1", name: "test", deadlineMs: 200, onError: () => {} });
  await expect(nowhere).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
});
