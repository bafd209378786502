// A user who is away is told by Kafka, whichever node hears of the message.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NotificationSchema } from "../../src/gen/trunkline/v1/outlet_pb.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { kafkaOf } from "../support/services/kafka-client.js";
import { Person } from "../support/story/person.js";

const START_MS = 120_000;

describeCluster("notifications of a cluster", (services) => {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-outlets-"));
  const file = join(directory, "outlets.json");
  writeFileSync(file, JSON.stringify({ notifier: { grace: "1s", withBody: true } }));
  const cluster = new TestCluster({
    services,
    environment: { TRUNKLINE_OUTLETS: file, TRUNKLINE_KAFKA_PARTITIONS: "2" },
  });
  const kafka = kafkaOf(services.kafka);
  const consumer = kafka.consumer({ groupId: `${cluster.name}-reader`, maxWaitTimeInMs: 100 });

  beforeAll(() => cluster.start("one", "two"), START_MS);
  afterAll(async () => {
    await consumer.disconnect();
    await cluster.dispose();
    rmSync(directory, { recursive: true });
  }, START_MS);

  test("tell of messages to whoever is away", { timeout: START_MS }, async () => {
    const read = Promise.withResolvers<string>();
    await consumer.connect();
    await consumer.subscribe({ topic: `${cluster.name}.notifications`, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { key, value } }) => {
        const { roomId, count, sender, body } = fromBinary(NotificationSchema, value ?? Buffer.alloc(0));
        read.resolve(`${key}: ${count} of ${sender?.userId} in ${roomId}, ${body?.kind.value}`);
      },
    });
    const ada = await new Person(cluster.node("one"), "ada").comes();
    await ada.makes("hall", { members: [{ userId: "bob" }] });
    await ada.says("hall", "are you there?");
    expect(await read.promise).toBe("demo/bob: 1 of ada in hall, are you there?");
  });
});
