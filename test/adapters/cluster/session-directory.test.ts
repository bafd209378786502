// The session directory over a real Redis.

import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { RedisSessionDirectory } from "../../../src/adapters/cluster/directory/redis-session-directory.js";
import type { RedisCommands } from "../../../src/adapters/cluster/redis.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import type { ClusterNode } from "../../../src/ports/placement.js";
import type { UserArchive } from "../../../src/ports/user-archive.js";
import { describeSessionDirectory, of, Scene } from "../../contract/session-directory.js";
import { describeSessionDirectoryNodes, type SessionDirectoryNodes } from "../../contract/session-directory-nodes.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { RedisClusterServers } from "../../support/services/redis-cluster.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import {
  describeEachRedis,
  describeWithServers,
  heardAll,
  keysOf,
  type RedisOfNode,
  type RedisSubject,
  redisOfNode,
  useServers,
} from "./use-redis.js";

const GRACE_MS = 5_000;
const LEASE_MS = 5_000;
const STEP_MS = 250;
/** Passes while something is on its way. */
const MOMENT_MS = 10;
/** Turns after which whatever follows has been asked and answered: Redis answers each connection in order. */
const TURNS = 6;

interface Cluster extends SessionDirectoryNodes {
  readonly redis: RedisCommands;
  readonly prefix: string;
  /** From now on `here` hears nothing of what others say. */
  deafen(): void;
  /** Others do not see the node of `here` any more, and then do again. */
  vanish(): void;
  appear(): void;
  /** Both nodes are paused for so long. */
  skip(ms: number): void;
  /** Cuts the connection that the node of `here` says everything on; it is made anew. */
  interrupt(): void;
}

async function cluster(
  redis: RedisSubject,
  prefix: string,
  archive: UserArchive,
  clock: StoppedClock,
): Promise<Cluster> {
  const connections: RedisOfNode[] = [];
  const nodes: ClusterNode[] = [];
  const dead = new Set<ClusterNode>();
  const faults: unknown[] = [];
  let faulty = false;
  const start = async () => {
    const nodeId = randomUUID();
    const node = { nodeId, address: "", since: 0, leaving: false };
    nodes.push(node);
    const own = await redisOfNode(redis.address, nodeId, prefix);
    connections.push(own);
    const placement = { nodeId, nodes: () => nodes };
    const onFault = (cause: unknown): void => {
      // A node whose connections are cut cannot say that its sessions have ended.
      if (!dead.has(node) && !faulty) faults.push(cause);
    };
    const options = { ...own, archive, clock, placement, prefix, graceMs: GRACE_MS, onFault };
    const directory = new RedisSessionDirectory(options);
    await directory.start();
    return { directory, own, node };
  };
  const [here, there] = [await start(), await start()];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) {
      await Promise.allSettled(connections.map((own) => heardAll(own, redis)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const stop = async (): Promise<void> => {
    await Promise.all([here.directory.stop(), there.directory.stop()]);
    for (const own of connections) own.stop();
    expect(faults).toEqual([]);
  };
  return {
    redis: there.own.redis,
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
      return await cluster(redis, prefix, archive, clock);
    },
    leaseMs: LEASE_MS,
    deafen: () => here.own.channels.stop(),
    crash: () => {
      here.own.stop();
      dead.add(here.node);
      clock.after(LEASE_MS, () => nodes.splice(nodes.indexOf(here.node), 1));
    },
    vanish: () => void nodes.splice(nodes.indexOf(here.node), 1),
    appear: () => void nodes.push(here.node),
    skip: (ms) => clock.advance(ms),
    interrupt: () => {
      faulty = true;
      here.own.redis.disconnect(true);
    },
    close: stop,
  };
}

describeEachRedis("a session directory in Redis", (redis) => {
  const open = () => cluster(redis(), randomUUID(), new MemoryEngine().archive, new StoppedClock());
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
    expect(await keysOf(subject.redis, `${subject.prefix}*ann*`)).toEqual([]);
    expect(await keysOf(subject.redis, `${subject.prefix}:directory:*`)).toHaveLength(1);
  });

  it("has everybody back, with what they set, after Redis was emptied", async () => {
    const { subject, scene } = await useScene();
    const [ann, bob] = [scene.session("ann"), scene.session("bob")];
    subject.here.connect(ann);
    subject.there.connect(bob);
    subject.there.choose(bob, of(PresenceStatus.AWAY, "lunch"));
    await subject.pass(2_000);
    const keys = await keysOf(subject.redis, `${subject.prefix}*`);
    await Promise.all(keys.map((key) => subject.redis.del(key)));
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
    expect(await keysOf(subject.redis, `${subject.prefix}:{*`)).toEqual([]);
    expect(await keysOf(subject.redis, `${subject.prefix}:session:*`)).toEqual([]);
  });

  it("lets the later of two equal sessions of a device stay when all are told of again", async () => {
    const { subject, scene } = await useScene();
    const [old, young] = [scene.session("ann"), scene.session("ann")];
    subject.here.connect(old);
    await subject.pass(1_000);
    const later = { ...young, connectedAtMs: subject.now() };
    subject.there.connect(later);
    await subject.pass(1_000);
    expect([old.told, young.told]).toEqual([["REPLACED"], []]);
    await subject.redis.del(`${subject.prefix}:directory:nodes`);
    await subject.pass(2_000);
    expect(old.told).toContain("REPLACED");
    expect(young.told).toEqual([]);
  });

  it("closes a session within a second that could not be told at once", async () => {
    const { subject, scene } = await useScene();
    const ann = scene.session("ann");
    subject.here.connect(ann);
    await subject.pass(1_000);
    subject.deafen();
    expect(await subject.there.close(scene.tenantId, { userId: "ann" }, CloseCode.KICKED, "out")).toBe(1);
    await subject.pass(0);
    expect(ann.told).toEqual([]);
    await subject.pass(1_000);
    expect(ann.told).toEqual(["KICKED"]);
    await subject.pass(2_000);
    expect(ann.told).toEqual(["KICKED"]);
    expect(await keysOf(subject.redis, `${subject.prefix}:directory:orders:*`)).toEqual([]);
  });

  describe("of a node that others have not seen for a while", () => {
    it("closes the sessions that were told to close meanwhile, and no others", async () => {
      const { subject, scene } = await useScene();
      const [desk, phone, bob] = [scene.session("ann", "desk"), scene.session("ann", "phone"), scene.session("bob")];
      for (const session of [desk, phone, bob]) subject.here.connect(session);
      await subject.pass(1_000);
      subject.vanish();
      await subject.pass(2_000);
      const which = { userId: "ann", exceptDeviceId: "phone" };
      expect(await subject.there.close(scene.tenantId, which, CloseCode.KICKED, "out")).toBe(0);
      subject.appear();
      await subject.pass(2_000);
      expect([desk.told, phone.told, bob.told]).toEqual([["KICKED"], [], []]);
    });

    it("closes none that connected after it was said", async () => {
      const { subject, scene } = await useScene();
      subject.vanish();
      await subject.there.close(scene.tenantId, { userId: "ann" }, CloseCode.KICKED, "out");
      const ann = scene.session("ann");
      subject.here.connect(ann);
      subject.appear();
      await subject.pass(2_000);
      expect(ann.told).toEqual([]);
    });

    it("has all come anew where more was said than is kept", async () => {
      const { subject, scene } = await useScene();
      const [old, young] = [scene.session("ann"), scene.session("bob")];
      subject.here.connect(old);
      await subject.pass(1_000);
      const closes = Array.from({ length: 10_001 }, (_, number) =>
        subject.there.close(scene.tenantId, { userId: `nobody-${number}` }, CloseCode.KICKED, "out"),
      );
      await Promise.all(closes);
      subject.here.connect(young);
      await subject.pass(2_000);
      expect([old.told, young.told]).toEqual([["GOING_AWAY"], []]);
    });
  });

  it("is not current after a pause, until it has looked again", async () => {
    const { subject } = await useScene();
    await subject.pass(3_000);
    expect(subject.here.current).toBe(true);
    subject.skip(20_000);
    expect(subject.here.current).toBe(false);
    await subject.pass(1_000);
    expect(subject.here.current).toBe(true);
  });

  it("is told of whoever came, chose or left while it was away once it is there again", async () => {
    const { subject, scene } = await useScene();
    const [ann, bob, cem] = [scene.session("ann"), scene.session("bob"), scene.session("cem")];
    subject.here.connect(ann);
    subject.here.connect(bob);
    await subject.pass(1_000);
    subject.interrupt();
    subject.here.disconnect(ann, false);
    subject.here.choose(bob, of(PresenceStatus.AWAY, "lunch"));
    subject.here.connect(cem);
    await scene.soon(async () => {
      await subject.pass(1_000);
      return await Promise.all(["ann", "bob", "cem"].map((userId) => scene.status(subject.there, userId)));
    }, [PresenceStatus.OFFLINE, PresenceStatus.AWAY, PresenceStatus.ONLINE]);
  });

  it("keeps what was set on another node when a node tells of its sessions again", async () => {
    const { subject, scene } = await useScene();
    const ann = scene.session("ann");
    subject.here.connect(ann);
    subject.here.choose(ann, of(PresenceStatus.AWAY, "first"));
    await subject.pass(1_000);
    expect(await subject.there.chooseAll(scene.tenantId, "ann", of(PresenceStatus.DO_NOT_DISTURB, "second"))).toBe(1);
    await subject.redis.del(`${subject.prefix}:directory:nodes`);
    await subject.pass(2_000);
    expect(await scene.presence(subject.there, "ann")).toMatchObject({ text: "second" });
  });
});

describeWithServers("a session directory in a Redis Cluster", (command) => {
  const servers = useServers(() => RedisClusterServers.start(command));

  it("has everybody back after one of its nodes came back without them", async () => {
    const channels = (prefix: string) => servers().keys(prefix);
    const redis = { address: { cluster: servers().addresses }, channels };
    const subject = await cluster(redis, randomUUID(), new MemoryEngine().archive, new StoppedClock());
    onTestFinished(() => subject.close());
    const scene = new Scene(subject);
    const users = ["ann", "bob", "cem", "dan"];
    for (const userId of users) subject.here.connect(scene.session(userId));
    await subject.pass(2_000);
    const told = servers().masterOf(`${subject.prefix}:directory:nodes`);
    for (const { admin } of servers().masters.filter((node) => node.admin !== told.admin)) {
      await admin.flushall();
      await admin.call("DEBUG", "CHANGE-REPL-ID");
    }
    await subject.pass(2_000);
    const shown = await Promise.all(users.map((userId) => scene.status(subject.there, userId)));
    expect(shown).toEqual(users.map(() => PresenceStatus.ONLINE));
  });
});
