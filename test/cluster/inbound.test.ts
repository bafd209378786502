// Two nodes take what another service writes to Kafka.

import { Partitioners } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { kafkaOf } from "../support/services/kafka-client.js";
import { Person } from "../support/story/person.js";

const START_MS = 120_000;

describeCluster("commands by Kafka to a cluster", (services) => {
  const cluster = new TestCluster({
    services,
    environment: { TRUNKLINE_INBOUND: "true", TRUNKLINE_KAFKA_PARTITIONS: "4" },
  });
  const kafka = kafkaOf(services.kafka);
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const headers = { "content-type": "application/json" };
  const say = (text: string) => {
    const sendToRoom = { roomId: "yard", body: { text } };
    return JSON.stringify({ tenantId: "demo", serviceId: "crane", sendToRoom });
  };

  beforeAll(async () => {
    await cluster.start("one", "two");
    await producer.connect();
  }, START_MS);
  afterAll(async () => {
    await producer.disconnect();
    await cluster.dispose();
  }, START_MS);

  test("are carried out, though the node that took them is killed", { timeout: START_MS }, async () => {
    const one = cluster.node("one");
    const ada = await new Person(one, "ada").comes();
    await ada.makes("yard");
    await ada.reads("yard");
    const words = Array.from({ length: 60 }, (_, index) => `lift ${index}`);
    const send = async (from: number, to: number): Promise<void> => {
      const messages = words.slice(from, to).map((text) => ({ key: "yard", value: say(text), headers }));
      await producer.send({ topic: `${cluster.name}.inbound`, messages });
    };
    await send(0, 30);
    await cluster.node("two").kill();
    await send(30, 60);
    const all = words.map((text) => `crane: ${text}`);
    // Kafka takes a while to give the partition to the node that is left.
    await ada.sees("yard", ...all).catch(() => ada.sees("yard", ...all));
    expect(one.faults).toEqual([]);
  });
});
