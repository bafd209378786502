// The event log over partitions in memory, where each append has the fate that the test gives it.

import { describe, expect, it } from "vitest";
import { KafkaEventLog, type KafkaEventLogOptions } from "../../../src/adapters/cluster/event-log.js";
import { eventRecords } from "../../../src/adapters/cluster/event-record.js";
import type { KafkaRecord } from "../../../src/adapters/cluster/kafka/record-batch.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { recordBytes } from "../../../src/ports/event-log.js";
import { newRoom, sampleBatch } from "../../contract/samples.js";
import { HastyClock } from "./hasty-clock.js";
import { FatefulPartitions, MemoryPartitions } from "./memory-partitions.js";

const UNAVAILABLE = { name: "TrunklineError", code: ErrorCode.UNAVAILABLE };

class Cluster {
  readonly clock = new HastyClock();
  readonly shared = new MemoryPartitions(1);

  node(differing: Partial<KafkaEventLogOptions> = {}): { log: KafkaEventLog; partitions: FatefulPartitions } {
    const partitions = new FatefulPartitions(this.shared);
    const log = new KafkaEventLog({
      partitions,
      shards: 1,
      era: "era",
      maxBatchBytes: 1_000_000,
      node: "node",
      archived: () => 0,
      clock: this.clock,
      ...differing,
    });
    return { log, partitions };
  }

  /** How many records there are, whether they count or not. */
  get stored(): number {
    return this.shared.stored[0]?.length ?? 0;
  }
}

describe("an append", () => {
  it("that was stored without an answer is in the tail of the next open", async () => {
    const { log, partitions } = new Cluster().node();
    const room = newRoom();
    const { end } = await log.open(0);
    partitions.next("unanswered");
    await expect(log.append(0, end, sampleBatch(room, 1, 3))).rejects.toMatchObject(UNAVAILABLE);
    const opened = await log.open(0);
    expect(opened.tail.map(({ event }) => event.seq)).toEqual([1, 2, 3]);
    expect((await log.append(0, opened.end, sampleBatch(room, 4))).status).toBe("durable");
  });

  it("that arrives before anybody else has written counts, whenever it arrives", async () => {
    const { log, partitions } = new Cluster().node();
    const room = newRoom();
    const { end } = await log.open(0);
    partitions.next("late");
    await expect(log.append(0, end, sampleBatch(room, 1))).rejects.toMatchObject(UNAVAILABLE);
    await partitions.arrive();
    expect((await log.open(0)).tail.map(({ event }) => event.seq)).toEqual([1]);
  });

  it("that arrives behind another's barrier is void for everybody", async () => {
    const cluster = new Cluster();
    const [former, owner] = [cluster.node(), cluster.node()];
    const room = newRoom();
    const { end } = await former.log.open(0);
    former.partitions.next("late");
    await expect(former.log.append(0, end, sampleBatch(room, 1, 2))).rejects.toMatchObject(UNAVAILABLE);
    const opened = await owner.log.open(0);
    await former.partitions.arrive();
    expect(opened.tail).toEqual([]);
    expect(await owner.log.append(0, opened.end, sampleBatch(room, 1))).toEqual({ status: "displaced" });
    const again = await owner.log.open(0);
    expect(again.tail).toEqual([]);
    expect((await owner.log.append(0, again.end, sampleBatch(room, 1))).status).toBe("durable");
    for (const log of [owner.log, cluster.node().log]) {
      expect((await log.read(0, 0, 10)).map(({ event }) => event.seq)).toEqual([1]);
    }
  });

  it("writes nothing where the node was told of another offset, or of none", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node();
    const batch = sampleBatch(newRoom(), 1);
    expect(await log.append(0, 0, batch)).toEqual({ status: "displaced" });
    const { end } = await log.open(0);
    const before = cluster.stored;
    for (const at of [0, end - 1, end + 1, end + 1_000]) {
      expect(await log.append(0, at, batch)).toEqual({ status: "displaced" });
    }
    expect(cluster.stored).toBe(before);
  });

  it("needs an open after one that failed", async () => {
    const cluster = new Cluster();
    const { log, partitions } = cluster.node();
    const room = newRoom();
    const { end } = await log.open(0);
    partitions.next("lost");
    await expect(log.append(0, end, sampleBatch(room, 1))).rejects.toMatchObject(UNAVAILABLE);
    expect(await log.append(0, end, sampleBatch(room, 1))).toEqual({ status: "displaced" });
    expect((await log.append(0, (await log.open(0)).end, sampleBatch(room, 1))).status).toBe("durable");
  });

  it("is one at a time", async () => {
    const { log, partitions } = new Cluster().node();
    const { end } = await log.open(0);
    const gate = Promise.withResolvers<void>();
    partitions.pause = () => gate.promise;
    const first = log.append(0, end, sampleBatch(newRoom(), 1));
    await expect(log.append(0, end, sampleBatch(newRoom(), 1))).rejects.toThrow("under way");
    gate.resolve();
    expect((await first).status).toBe("durable");
  });
});

describe("an open", () => {
  it("writes its barrier again until it is answered", async () => {
    const cluster = new Cluster();
    const { log, partitions } = cluster.node();
    partitions.next("lost", "unanswered", "lost");
    expect(await log.open(0)).toEqual({ end: 2, tail: [] });
  });

  it("rejects where its barrier is not answered in time", async () => {
    const { log, partitions } = new Cluster().node();
    partitions.next(...Array.from({ length: 100 }, () => "lost" as const));
    await expect(log.open(0)).rejects.toMatchObject(UNAVAILABLE);
  });

  it("that is given up writes its barrier no more", async () => {
    const cluster = new Cluster();
    const { log, partitions } = cluster.node();
    const given = new AbortController();
    let tries = 0;
    partitions.pause = async () => {
      tries += 1;
      if (tries === 2) given.abort();
    };
    partitions.next("lost", "lost");
    await expect(log.open(0, given.signal)).rejects.toMatchObject(UNAVAILABLE);
    expect([tries, cluster.stored]).toEqual([2, 0]);
  });

  it("brings what the archive lacks, and passes over what does not count", async () => {
    const cluster = new Cluster();
    let archived = 0;
    const { log } = cluster.node({ archived: () => archived });
    const room = newRoom();
    const { end } = await log.open(0);
    const first = await log.append(0, end, sampleBatch(room, 1, 4));
    if (first.status !== "durable") throw new Error("displaced");
    const foreign: KafkaRecord[] = [
      { key: "a/b", value: Buffer.from("x"), headers: [] },
      {
        key: "a/b",
        value: Buffer.from("x"),
        headers: [
          { name: "at", value: "-1" },
          { name: "index", value: "8" },
        ],
      },
      ...eventRecords(sampleBatch(room, 9).records, 2),
    ];
    for (const record of foreign) await cluster.shared.append(0, [record]);
    archived = first.end - 2;
    expect((await log.open(0)).tail.map(({ event }) => event.seq)).toEqual([3, 4]);
  });

  it("reads nothing where the archive lacks nothing", async () => {
    const cluster = new Cluster();
    let archived = 0;
    const { log } = cluster.node({ archived: () => archived });
    const room = newRoom();
    const { end } = await log.open(0);
    const outcome = await log.append(0, end, sampleBatch(room, 1, 2));
    archived = outcome.status === "durable" ? outcome.end : -1;
    const before = cluster.shared.reads;
    expect(await log.open(0)).toEqual({ end: archived + 1, tail: [] });
    expect(cluster.shared.reads).toBe(before);
  });

  it("brings all of it where a new leader shows only some yet", async () => {
    const cluster = new Cluster();
    const { log, partitions } = cluster.node();
    await log.append(0, (await log.open(0)).end, sampleBatch(newRoom(), 1, 3));
    const { read } = partitions;
    let behind = 2;
    partitions.read = async (partition, from, bytes) => {
      const page = await read.call(partitions, partition, from, bytes);
      if (page.status !== "page" || behind-- <= 0) return page;
      // What it shows ends behind the first event.
      const records = page.records.filter(({ offset }) => offset < 2);
      return { status: "page", records, next: Math.max(from, 2), end: Math.max(from, 2) };
    };
    const { tail } = await log.open(0);
    expect(tail.map(({ event }) => event.seq)).toEqual([1, 2, 3]);
  });

  it("rejects where the log no longer has what the archive lacks", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node({ archived: () => 1 });
    await log.append(0, (await log.open(0)).end, sampleBatch(newRoom(), 1, 4));
    cluster.shared.first[0] = 3;
    await expect(log.open(0)).rejects.toMatchObject({ ...UNAVAILABLE, cause: { message: /up to 1.*from 3 on/ } });
  });

  it("rejects where the archive is ahead: it is of another log", async () => {
    const { log } = new Cluster().node({ archived: () => 100 });
    await expect(log.open(0)).rejects.toMatchObject({ ...UNAVAILABLE, cause: { message: /another/ } });
  });

  it("rejects where the tail is longer than it may be", async () => {
    const cluster = new Cluster();
    const batch = sampleBatch(newRoom(), 1, 10);
    const maxTailBytes = batch.records.reduce((sum, record) => sum + recordBytes(record), 0) - 1;
    const { log } = cluster.node();
    await log.append(0, (await log.open(0)).end, batch);
    await expect(cluster.node({ maxTailBytes }).log.open(0)).rejects.toMatchObject(UNAVAILABLE);
    expect((await cluster.node({ maxTailBytes: maxTailBytes + 1 }).log.open(0)).tail).toHaveLength(10);
  });
});

describe("a read", () => {
  it("fills its page across records that do not count", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node();
    const room = newRoom();
    for (let seq = 1; seq <= 6; seq++) {
      for (let barrier = 0; barrier < 5; barrier++) await log.open(0);
      await log.append(0, (await log.open(0)).end, sampleBatch(room, seq));
    }
    const other = cluster.node().log;
    expect((await other.read(0, 0, 4)).map(({ event }) => event.seq)).toEqual([1, 2, 3, 4]);
    expect((await other.read(0, 0, 100)).map(({ event }) => event.seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("never begins behind records that are gone", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node();
    await log.append(0, (await log.open(0)).end, sampleBatch(newRoom(), 1, 6));
    cluster.shared.first[0] = 4;
    const other = cluster.node().log;
    expect(await other.begins()).toEqual([4]);
    await expect(other.read(0, 3, 10)).rejects.toMatchObject({ name: "LogExpired", shard: 0, from: 3, begins: 4 });
    expect((await other.read(0, 4, 10)).map(({ event }) => event.seq)).toEqual([4, 5, 6]);
  });

  it("passes over nothing that goes while it reads", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node();
    await log.append(0, (await log.open(0)).end, sampleBatch(newRoom(), 1, 6));
    const other = cluster.node();
    const { read } = other.partitions;
    other.partitions.read = async (...asked) => {
      const page = await read.apply(other.partitions, asked);
      cluster.shared.first[0] = 6;
      return page;
    };
    await expect(other.log.read(0, 0, 10)).rejects.toMatchObject({ name: "LogExpired", from: 0, begins: 6 });
    expect((await other.log.read(0, 6, 10)).map(({ event }) => event.seq)).toEqual([6]);
  });

  it("waits for what is durable where a leader does not show it yet, and rejects in the end", async () => {
    const cluster = new Cluster();
    const { log, partitions } = cluster.node({ recentBytes: 0 });
    const { end } = await log.open(0);
    await log.append(0, end, sampleBatch(newRoom(), 1, 2));
    const { read } = partitions;
    let hidden = 3;
    partitions.read = (partition, from, bytes) => {
      if (hidden-- > 0) return Promise.resolve({ status: "page", records: [], next: from, end: from });
      return read.call(partitions, partition, from, bytes);
    };
    expect(await log.read(0, end, 10)).toHaveLength(2);
    hidden = Number.POSITIVE_INFINITY;
    await expect(log.read(0, end, 10)).rejects.toMatchObject(UNAVAILABLE);
  });

  it("rejects at a record that counts and is no event", async () => {
    const cluster = new Cluster();
    const headers = [
      { name: "at", value: "0" },
      { name: "index", value: "0" },
    ];
    await cluster.shared.append(0, [{ key: undefined, value: undefined, headers }]);
    const refused = cluster.node().log.read(0, 0, 10);
    await expect(refused).rejects.toMatchObject({ ...UNAVAILABLE, cause: { message: /offset 0 is no event/ } });
  });

  it("of what this node has just appended asks nobody", async () => {
    const cluster = new Cluster();
    const { log } = cluster.node();
    const { end } = await log.open(0);
    await log.append(0, end, sampleBatch(newRoom(), 1, 3));
    const { reads } = cluster.shared;
    expect((await log.read(0, end, 2)).map(({ event }) => event.seq)).toEqual([1, 2]);
    expect((await log.read(0, end + 1, 100)).map(({ event }) => event.seq)).toEqual([2, 3]);
    expect(await log.read(0, end + 3, 100)).toEqual([]);
    expect(cluster.shared.reads).toBe(reads);
  });

  it("trusts for a second only that nobody has written behind it", async () => {
    const cluster = new Cluster();
    const [former, owner] = [cluster.node().log, cluster.node().log];
    const room = newRoom();
    const { end } = await former.open(0);
    await former.append(0, end, sampleBatch(room, 1));
    await owner.append(0, (await owner.open(0)).end, sampleBatch(room, 2));
    expect((await former.read(0, end, 1)).map(({ event }) => event.seq)).toEqual([1]);
    cluster.clock.pass(1_001);
    expect((await former.read(0, end, 10)).map(({ event }) => event.seq)).toEqual([1, 2]);
  });

  it("keeps no more of the last appends than it may", async () => {
    const cluster = new Cluster();
    const room = newRoom();
    const batch = sampleBatch(room, 1, 10);
    const recentBytes = batch.records.reduce((sum, record) => sum + recordBytes(record), 0) / 2;
    const { log } = cluster.node({ recentBytes });
    const { end } = await log.open(0);
    await log.append(0, end, batch);
    const { reads } = cluster.shared;
    expect(await log.read(0, end + 6, 10)).toHaveLength(4);
    expect(cluster.shared.reads).toBe(reads);
    expect(await log.read(0, end, 10)).toHaveLength(10);
    expect(cluster.shared.reads).toBeGreaterThan(reads);
  });
});

it("names a shard that there is none of", async () => {
  const { log } = new Cluster().node();
  await expect(log.open(1)).rejects.toThrow(RangeError);
  await expect(log.read(-1, 0, 1)).rejects.toThrow(RangeError);
});
