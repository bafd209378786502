// The session directory over a real Redis.

import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { RedisSessionDirectory } from "../../../src/adapters/cluster/redis-session-directory.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import type { ClusterNode } from "../../../src/ports/placement.js";
import type { UserArchive } from "../../../src/ports/user-archive.js";
import { describeSessionDirectory, of, Scene } from "../../contract/session-directory.js";
import { describeSessionDirectoryNodes, type SessionDirectoryNodes } from "../../contract/session-directory-nodes.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { describeWith } from "../../support/services/describe-with.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const GRACE_MS = 5_000;
const LEASE_MS = 5_000;
const STEP_MS = 250;
/** Passes while something is on its way. */
const MOMENT_MS = 10;
/** Turns after which whatever follows has been asked and answered: Redis answers each connection in order. */
const TURNS = 6;

interface Cluster extends SessionDirectoryNodes {
  readonly redis: Redis;
  readonly prefix: string;
}

async function cluster(url: string, prefix: string, archive: UserArchive, clock: StoppedClock): Promise<Cluster> {
  const connections: Redis[] = [];
  const nodes: ClusterNode[] = [];
  const dead = new Set<ClusterNode>();
  const faults: unknown[] = [];
  const connect = async (): Promise<Redis> => {
    const redis = await connectRedis({ url, name: "test", onError: () => {} });
    connections.push(redis);
    return redis;
  };
  const start = async () => {
    const nodeId = randomUUID();
    const node = { nodeId, address: "", since: 0, leaving: false };
    nodes.push(node);
    const [redis, subscriber] = [await connect(), await connect()];
    const placement = { nodeId, nodes: () => nodes };
    const onFault = (cause: unknown): void => {
      // A node whose connections are cut cannot say that its sessions have ended.
      if (!dead.has(node)) faults.push(cause);
    };
    const options = { redis, subscriber, archive, clock, placement, prefix, graceMs: GRACE_MS, onFault };
    const directory = new RedisSessionDirectory(options);
    await directory.start();
    return { directory, redis, subscriber, node };
  };
  const [here, there] = [await start(), await start()];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) {
      await Promise.allSettled(connections.map((redis) => redis.ping()));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const stop = async (): Promise<void> => {
    await Promise.all([here.directory.stop(), there.directory.stop()]);
    for (const redis of connections) redis.disconnect();
    expect(faults).toEqual([]);
  };
  return {
    redis: there.redis,
    prefix,
    here: here.directory,
    there: there.directory,
    graceMs: GRACE_MS,
    now: () => clock.now(),
    pass: async (ms) => {
      // What another node keeps of who was last online it learns within a second.
      if (ms === 0) clock.advance(MOMENT_MS);
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        clock.advance(Math.min(STEP_MS, ms - passed));
        await settle();
      }
      await settle();
    },
    reopen: async () => {
      await stop();
      return await cluster(url, prefix, archive, clock);
    },
    leaseMs: LEASE_MS,
    crash: () => {
      here.redis.disconnect();
      here.subscriber.disconnect();
      dead.add(here.node);
      clock.after(LEASE_MS, () => nodes.splice(nodes.indexOf(here.node), 1));
    },
    close: stop,
  };
}

describeWith("redis", "a session directory in Redis", (url) => {
  const open = () => cluster(url, randomUUID(), new MemoryEngine().archive, new StoppedClock());
  describeSessionDirectory("Redis", open);
  describeSessionDirectoryNodes("Redis", open);

  async function useScene() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { subject, scene: new Scene(subject) };
  }

  it("keeps nothing of a node that is gone", async () => {
    const { subject, scene } = await useScene();
    subject.here.connect(scene.session("ann"));
    await subject.pass(1_000);
    subject.crash();
    await subject.pass(LEASE_MS + 2_000);
    expect(await subject.redis.keys(`${subject.prefix}*ann*`)).toEqual([]);
    expect(await subject.redis.keys(`${subject.prefix}:directory:*`)).toHaveLength(1);
  });

  it("has everybody back, with what they set, after Redis was emptied", async () => {
    const { subject, scene } = await useScene();
    const [ann, bob] = [scene.session("ann"), scene.session("bob")];
    subject.here.connect(ann);
    subject.there.connect(bob);
    subject.there.choose(bob, of(PresenceStatus.AWAY, "lunch"));
    await subject.pass(2_000);
    const keys = await subject.redis.keys(`${subject.prefix}*`);
    await subject.redis.del(...keys);
    await subject.pass(2_000);
    for (const directory of [subject.here, subject.there]) {
      expect(await scene.status(directory, "ann")).toBe(PresenceStatus.ONLINE);
      expect(await scene.presence(directory, "bob")).toMatchObject({ status: PresenceStatus.AWAY, text: "lunch" });
      expect(await directory.sessions(scene.tenantId, "bob")).toHaveLength(1);
    }
  });

  it("keeps nothing of users who have left", async () => {
    const { subject, scene } = await useScene();
    const sessions = ["ann", "bob"].map((userId) => scene.session(userId));
    for (const session of sessions) subject.here.connect(session);
    subject.here.choose(sessions[0] ?? scene.session("cem"), of(PresenceStatus.AWAY));
    for (const session of sessions) subject.here.disconnect(session, true);
    await subject.pass(GRACE_MS + 1_000);
    expect(await subject.redis.keys(`${subject.prefix}:{*`)).toEqual([]);
    expect(await subject.redis.keys(`${subject.prefix}:session:*`)).toEqual([]);
  });
});
