// Brokers that fall silent, hang up, hand over and go away.

import { describe, expect, it, onTestFinished } from "vitest";
import { KafkaPartitions, REQUEST_DEADLINE_MS } from "../../../../src/adapters/cluster/kafka/partitions.js";
import { StoppedClock } from "../../../support/stopped-clock.js";
import { FakeCluster } from "./fake-broker.js";

const RECORDS = [{ key: "acme/lobby", value: Buffer.from("event"), headers: [] }];

async function useCluster(brokers: number) {
  const cluster = await FakeCluster.start(brokers);
  const clock = new StoppedClock();
  const partitions = new KafkaPartitions({ brokers: cluster.addresses, topic: "topic", clock, paceMs: 0 });
  onTestFinished(async () => {
    partitions.close();
    await cluster.stop();
  });
  const [first, second] = cluster.brokers;
  if (first === undefined) throw new Error("a cluster has a broker");
  return { cluster, clock, partitions, first, second: second ?? first };
}

describe("an append", () => {
  it("is answered with where the leader has put it, over one connection", async () => {
    const { partitions, first } = await useCluster(1);
    for (const offset of [0, 1, 2]) expect(await partitions.append(0, RECORDS)).toBe(offset);
    // One for the metadata.
    expect(first.connections).toBe(2);
  });

  it("goes over a new connection after a long pause, before the broker hangs up", async () => {
    const { clock, partitions, first } = await useCluster(1);
    await partitions.append(0, RECORDS);
    const before = first.connections;
    clock.advance(5 * 60_000);
    await partitions.append(0, RECORDS);
    expect(first.connections).toBe(before);
    clock.advance(5 * 60_000 + 1);
    await partitions.append(0, RECORDS);
    expect(first.connections).toBe(before + 1);
  });

  it("is given up at its deadline, and the connection with it", async () => {
    const { clock, partitions, first } = await useCluster(1);
    await partitions.append(0, RECORDS);
    first.conduct = "is silent";
    const silent = partitions.append(0, RECORDS);
    silent.catch(() => {});
    await first.received(2);
    const before = first.connections;
    clock.advance(REQUEST_DEADLINE_MS);
    await expect(silent).rejects.toThrow(/no answer from .* within 2000 ms/);
    first.conduct = "answers";
    expect(await partitions.append(0, RECORDS)).toBe(1);
    expect(first.connections).toBe(before + 1);
    expect(clock.pending).toBe(0);
  });

  it("fails at once where the broker hangs up, and the next is made anew", async () => {
    const { partitions, first } = await useCluster(1);
    first.conduct = "hangs up";
    await expect(partitions.append(0, RECORDS)).rejects.toThrow();
    first.conduct = "answers";
    expect(await partitions.append(0, RECORDS)).toBe(0);
  });

  it("finds the new leader after one that leads no more", async () => {
    const { cluster, partitions, first, second } = await useCluster(2);
    await partitions.append(0, RECORDS);
    first.conduct = "is not the leader";
    cluster.leader = 1;
    await expect(partitions.append(0, RECORDS)).rejects.toMatchObject({ name: "KafkaError", code: 6 });
    expect(await partitions.append(0, RECORDS)).toBe(2);
    expect([first.appends, second.appends]).toEqual([2, 1]);
  });

  it("finds the new leader after one that is gone, whoever was asked before", async () => {
    const { cluster, partitions, first, second } = await useCluster(2);
    await partitions.append(0, RECORDS);
    await first.stop();
    cluster.leader = 1;
    const tries: unknown[] = [];
    for (let attempt = 0; attempt < 3 && second.appends === 0; attempt++) {
      tries.push(await partitions.append(0, RECORDS).catch((error: unknown) => error));
    }
    expect(second.appends).toBe(1);
    expect(tries.at(-1)).toBe(1);
    cluster.brokers = [second];
  });

  it("finds its way by brokers that it was not told of", async () => {
    const { cluster, clock, first, second } = await useCluster(2);
    const partitions = new KafkaPartitions({
      brokers: cluster.addresses.slice(0, 1),
      topic: "topic",
      clock,
      paceMs: 0,
    });
    onTestFinished(() => partitions.close());
    await partitions.append(0, RECORDS);
    await first.stop();
    cluster.leader = 1;
    for (let attempt = 0; attempt < 4 && second.appends === 0; attempt++) {
      await partitions.append(0, RECORDS).catch(() => {});
    }
    expect(second.appends).toBe(1);
    cluster.brokers = [second];
  });

  it("is refused once the topic is another one of the same name", async () => {
    const { cluster, partitions, first } = await useCluster(1);
    const { length } = await partitions.topicId();
    expect(length).toBe(22);
    cluster.topicId = 2;
    first.conduct = "is not the leader";
    await expect(partitions.append(0, RECORDS)).rejects.toMatchObject({ code: 6 });
    await expect(partitions.append(0, RECORDS)).rejects.toThrow(/another one made/);
  });

  it("is refused after the end", async () => {
    const { clock, partitions } = await useCluster(1);
    await partitions.append(0, RECORDS);
    partitions.close();
    await expect(partitions.append(0, RECORDS)).rejects.toThrow("closed");
    expect(clock.pending).toBe(0);
  });
});
