// A shard at one node: gained, lost and gained again, whatever is under way.

import { describe, expect, it } from "vitest";
import { MemoryEngine } from "../../support/memory-engine.js";
import { type TestCluster, type TestNode, useCluster } from "../use-cluster.js";
import { gate, settle, text } from "../use-core.js";

/** A room of the first node, and what its shard is told there. */
async function useShard() {
  const engine = new MemoryEngine({ archivesOnAppend: false, leavesVoids: true });
  const cluster = await useCluster({ engine });
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(1).connect("ann");
  await cluster.node(1).room(ann, roomId, "bob");
  return { cluster, engine, node: cluster.node(0), roomId, shard: cluster.shardOf(roomId), ann };
}

/** The next openings of a node's shards wait for the test. */
function holdOpenings(cluster: TestCluster, node: TestNode) {
  const { log } = node;
  const open = log.open.bind(log);
  const held: (() => void)[] = [];
  log.open = async (shard, signal) => {
    const opened = gate<void>();
    held.push(() => opened.resolve());
    await opened.promise;
    return await open(shard, signal);
  };
  return {
    count: () => held.length,
    /** This one, of those that wait, goes on. */
    release: async (index: number) => {
      held[index]?.();
      await settle();
    },
    end: () => {
      log.open = open;
      for (const release of held) release();
      return cluster.elapse(0);
    },
  };
}

/** What comes of a message; where somebody else has opened the log meanwhile, when it is sent again. */
async function publishes({ cluster, roomId, ann }: Awaited<ReturnType<typeof useShard>>, key: string) {
  let reply: ReturnType<typeof ann.reply> = { case: undefined };
  for (let attempt = 1; attempt <= 2 && reply.case !== "published"; attempt++) {
    const ref = ann.send({ case: "publish", value: { ...text(roomId, key).value, attempt } });
    await cluster.elapse(500);
    reply = ann.reply(ref);
  }
  return reply.case;
}

describe("a shard", () => {
  it("that is lost while it is opened stays closed, and can be gained again", async () => {
    const used = await useShard();
    const { cluster, node, shard } = used;
    cluster.seize(shard, cluster.node(2));
    await settle();
    const openings = holdOpenings(cluster, node);
    cluster.seize(shard, node);
    await settle();
    cluster.seize(shard, cluster.node(2));
    await openings.release(0);
    expect(await publishes(used, "elsewhere")).toBe("published");
    cluster.seize(shard, node);
    await settle();
    expect(openings.count()).toBe(2);
    await openings.release(1);
    await openings.end();
    expect(await publishes(used, "here")).toBe("published");
  });

  it("that is lost while it is opened displaces nobody when its log can be opened at last", async () => {
    const { cluster, node, roomId, shard, ann } = await useShard();
    cluster.seize(shard, cluster.node(2));
    await settle();
    const openings = holdOpenings(cluster, node);
    cluster.seize(shard, node);
    await settle();
    cluster.seize(shard, cluster.node(2));
    await settle();
    await openings.release(0);
    const ref = ann.send(text(roomId, "at-once"));
    await cluster.elapse(100);
    expect(ann.reply(ref).case).toBe("published");
  });

  it("that is gained again before an old opening comes to its end is opened by the new one", async () => {
    const used = await useShard();
    const { cluster, node, shard } = used;
    cluster.seize(shard, cluster.node(2));
    await settle();
    const openings = holdOpenings(cluster, node);
    cluster.seize(shard, node);
    await settle();
    cluster.seize(shard, cluster.node(2));
    cluster.seize(shard, node);
    await settle();
    expect(openings.count()).toBe(2);
    await openings.release(1);
    expect(await publishes(used, "first")).toBe("published");
    // What the old one would begin with is of the past.
    await openings.release(0);
    await openings.end();
    await cluster.elapse(1_000);
    expect(await publishes(used, "second")).toBe("published");
  });

  it("that is lost and gained while it is handed over is kept", async () => {
    const used = await useShard();
    const { cluster, engine, node, roomId, shard, ann } = used;
    const stored = gate<void>();
    engine.faultNextAppend({ kind: "hold", until: stored.promise }, shard);
    ann.send(text(roomId, "under-way"));
    await settle();
    const moved = cluster.move(shard, cluster.node(2));
    await settle();
    cluster.seize(shard, cluster.node(2));
    cluster.seize(shard, node);
    stored.resolve();
    await moved;
    await cluster.elapse(1_500);
    expect(cluster.ownerOf(roomId)).toBe(node);
    expect(await publishes(used, "after")).toBe("published");
  });

  it("keeps nothing of what it was when it is somebody else's", async () => {
    const used = await useShard();
    const { cluster, node, shard, roomId, ann } = used;
    expect(await publishes(used, "one")).toBe("published");
    cluster.seize(shard, cluster.node(2));
    await settle();
    for (const key of ["two", "three"]) expect(await publishes(used, key)).toBe("published");
    cluster.seize(shard, node);
    await settle();
    const ref = ann.send(text(roomId, "four"));
    await cluster.elapse(500);
    expect(ann.reply(ref)).toMatchObject({ case: "published", value: { position: { seq: 5 }, messageIndex: 4 } });
  });
});
