// The topic is made as the cluster needs it, and one that does not fit is refused at the start.

import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { kafkaSasl, kafkaTls, parseBroker } from "../../../../src/adapters/cluster/kafka/options.js";
import {
  ensureTopic,
  type FoundTopic,
  misfits,
  TopicError,
  type TopicSettings,
} from "../../../../src/adapters/cluster/kafka/topic.js";
import { describeWith } from "../../../support/services/describe-with.js";
import { kafkaOf } from "../../../support/services/kafka-client.js";

const WANTED: TopicSettings = { partitions: 8 };

function found(differing: Readonly<Record<string, string>> = {}, rest: Partial<FoundTopic> = {}): FoundTopic {
  const settings = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "max.message.bytes": "4194304",
    "min.insync.replicas": "2",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "unclean.leader.election.enable": "false",
    ...differing,
  };
  return { partitions: 8, replicas: 3, settings: new Map(Object.entries(settings)), ...rest };
}

describe("a topic that is there", () => {
  it("fits as it would have been made, and with more safety", () => {
    expect(misfits(found(), WANTED)).toEqual([]);
    const safer = { "retention.ms": "-1", "min.insync.replicas": "3", "compression.type": "uncompressed" };
    expect(misfits(found(safer, { replicas: 5 }), WANTED)).toEqual([]);
  });

  it("never fits where events would be lost or could not be read", () => {
    const bad: readonly [FoundTopic, RegExp][] = [
      [found({}, { partitions: 9 }), /9 partitions, the cluster 8 shards/],
      [found({ "cleanup.policy": "compact" }), /cleanup.policy is compact/],
      [found({ "cleanup.policy": "compact,delete" }), /cleanup.policy/],
      [found({ "compression.type": "zstd" }), /compression.type is zstd/],
      [found({ "max.message.bytes": "100000" }), /max.message.bytes is 100000, less than 1048576/],
    ];
    for (const [topic, reason] of bad) {
      for (const allowUnsafe of [false, true]) {
        expect(misfits(topic, { ...WANTED, allowUnsafe })).toEqual([expect.stringMatching(reason)]);
      }
    }
  });

  it("fits with dangerous settings only where they are allowed", () => {
    const dangerous: readonly [FoundTopic, RegExp][] = [
      [found({}, { replicas: 2 }), /2 replicas are fewer than 3/],
      [found({ "min.insync.replicas": "1" }), /min.insync.replicas is 1, less than 2/],
      [found({ "unclean.leader.election.enable": "true" }), /unclean.leader.election.enable is true/],
      [found({ "retention.ms": "60000" }), /retention.ms is 60000, less than 3600000/],
      [found({ "retention.bytes": "1073741824" }), /retention.bytes/],
    ];
    for (const [topic, reason] of dangerous) {
      expect(misfits(topic, WANTED)).toEqual([expect.stringMatching(reason)]);
      expect(misfits(topic, { ...WANTED, allowUnsafe: true })).toEqual([]);
    }
  });

  it("is told everything that does not fit at once", () => {
    const topic = found({ "min.insync.replicas": "1", "retention.ms": "1" }, { replicas: 1, partitions: 1 });
    expect(misfits(topic, WANTED)).toHaveLength(4);
  });
});

describeWith("kafka", "a topic on Kafka", (url) => {
  const connection = { brokers: url.split(",") };

  it("is made with what was asked for, and found again", async () => {
    const name = `test-${randomUUID()}`;
    const wanted = {
      partitions: 5,
      replication: 1,
      allowUnsafe: true,
      maxMessageBytes: 2_000_000,
      retentionMs: 7_200_000,
    };
    const made = await ensureTopic(connection, name, wanted);
    expect(made).toEqual({ name, partitions: 5, maxBatchBytes: 2_000_000 - 61 });
    expect(await ensureTopic(connection, name, { ...wanted, maxMessageBytes: 3_000_000 })).toEqual(made);
    await expect(ensureTopic(connection, name, { ...wanted, partitions: 6 })).rejects.toThrow(/5 partitions.*6 shards/);
    await expect(ensureTopic(connection, name, { partitions: 5 })).rejects.toBeInstanceOf(TopicError);
  });

  it("is made once by nodes that start together", async () => {
    const name = `test-${randomUUID()}`;
    const wanted = { partitions: 3, replication: 1, allowUnsafe: true };
    const made = await Promise.all([1, 2, 3].map(() => ensureTopic(connection, name, wanted)));
    expect(new Set(made.map(({ partitions }) => partitions))).toEqual(new Set([3]));
  });

  it("is not made with fewer replicas than are safe, unless that is allowed", async () => {
    const name = `test-${randomUUID()}`;
    await expect(ensureTopic(connection, name, { partitions: 1, replication: 1 })).rejects.toThrow(
      /1 replicas are fewer/,
    );
    const admin = kafkaOf(connection.brokers).admin();
    await admin.connect();
    expect(await admin.listTopics()).not.toContain(name);
    await admin.disconnect();
  });

  it("is refused where the cluster has not as many brokers as it wants replicas", async () => {
    const wanted = { partitions: 1, replication: 3 };
    await expect(ensureTopic(connection, `test-${randomUUID()}`, wanted)).rejects.toThrow(/[Rr]eplication/);
  });
});

describe("a connection to Kafka", () => {
  it("is plain on loopback and protected elsewhere, unless it is said", () => {
    expect(kafkaTls({ brokers: ["127.0.0.1:9092", "[::1]:9092", "localhost:9092"] })).toBeUndefined();
    expect(kafkaTls({ brokers: ["127.0.0.1:9092", "kafka.example:9092"] })).toEqual({});
    expect(kafkaTls({ brokers: ["kafka.example:9092"], tls: "plain" })).toBeUndefined();
    const identity = { certificate: "cert", key: "key" };
    expect(kafkaTls({ brokers: ["localhost:9092"], tls: { ca: "ca", identity, serverName: "kafka" } })).toEqual({
      ca: Buffer.from("ca"),
      cert: Buffer.from("cert"),
      key: Buffer.from("key"),
      servername: "kafka",
    });
  });

  it("never sends a password in the clear beyond this machine", () => {
    const sasl = { mechanism: "plain", username: "ada", password: "secret" } as const;
    expect(() => kafkaTls({ brokers: ["kafka.example:9092"], tls: "plain", sasl })).toThrow(/SASL PLAIN/);
    expect(kafkaTls({ brokers: ["kafka.example:9092"], sasl })).toEqual({});
    expect(kafkaTls({ brokers: ["localhost:9092"], sasl })).toBeUndefined();
    const scram = { ...sasl, mechanism: "scram-sha-512" } as const;
    expect(kafkaTls({ brokers: ["kafka.example:9092"], tls: "plain", sasl: scram })).toBeUndefined();
    expect(kafkaSasl({ brokers: [], sasl: scram })).toEqual(scram);
  });

  it("has a broker's address of host and port", () => {
    expect(parseBroker("kafka-1.example:9092")).toEqual({ host: "kafka-1.example", port: 9092 });
    expect(parseBroker("[fe80::1]:9092")).toEqual({ host: "fe80::1", port: 9092 });
    for (const bad of ["kafka", "kafka:", ":9092", "kafka:0", "kafka:65536", "fe80::1:9092", "kafka:9092/x"]) {
      expect(() => parseBroker(bad)).toThrow(RangeError);
    }
    expect(() => kafkaTls({ brokers: [] })).toThrow(RangeError);
  });
});
