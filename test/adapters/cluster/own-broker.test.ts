// What needs a broker of its own: one that stands still, and one that asks who is there.

import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { KafkaEventLog } from "../../../src/adapters/cluster/event-log.js";
import type { KafkaSasl } from "../../../src/adapters/cluster/kafka/options.js";
import { KafkaPartitions, REQUEST_DEADLINE_MS } from "../../../src/adapters/cluster/kafka/partitions.js";
import { ensureTopic } from "../../../src/adapters/cluster/kafka/topic.js";
import { openNotifications } from "../../../src/adapters/cluster/notifications.js";
import { openEventLog } from "../../../src/adapters/cluster/open-event-log.js";
import { NotificationSchema } from "../../../src/gen/trunkline/v1/outlet_pb.js";
import { newRoom, sampleBatch } from "../../contract/samples.js";
import { describeWith } from "../../support/services/describe-with.js";
import { type RunningKafka, type SecuredListener, startKafka } from "../../support/services/kafka.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { makeCertificates } from "../../transport/grpc/certificates.js";
import { kafkaOptions } from "./use-kafka.js";

/** A broker, Java included, starts within this, in milliseconds, also on a machine that has other things to do. */
const START_MS = 120_000;

async function useBroker(secured?: SecuredListener): Promise<RunningKafka> {
  const kafka = await startKafka(secured === undefined ? {} : { secured });
  if (kafka === undefined) throw new Error("the services have a Kafka, and this test none");
  onTestFinished(() => kafka.stop());
  return kafka;
}

async function selfSigned(): Promise<{ readonly certificate: string; readonly key: string }> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-kafka-tls-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const [key, certificate] = [join(directory, "key"), join(directory, "certificate")];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate];
  await promisify(execFile)("openssl", [...made, "-subj", "/CN=broker", "-addext", "subjectAltName=DNS:broker.test"]);
  return { certificate: await readFile(certificate, "utf8"), key: await readFile(key, "utf8") };
}

describeWith("kafka", "a broker of its own", () => {
  it("that stands still is given up, and goes on with one history", { timeout: START_MS }, async () => {
    const kafka = await useBroker();
    const connection = { brokers: [kafka.url] };
    const topic = `test-${randomUUID()}`;
    await ensureTopic(connection, topic, { partitions: 1, replication: 1, allowUnsafe: true });
    const clock = new StoppedClock();
    const partitions = new KafkaPartitions({ ...connection, topic, clock, paceMs: 0 });
    const archived = () => 0;
    const log = new KafkaEventLog({
      partitions,
      shards: 1,
      era: "era",
      maxBatchBytes: 1e6,
      node: "n",
      archived,
      clock,
    });
    onTestFinished(() => log.close());
    const room = newRoom();
    const { end } = await log.open(0);
    const first = await log.append(0, end, sampleBatch(room, 1));
    if (first.status !== "durable") throw new Error("displaced");

    kafka.pause();
    const silent = log.append(0, first.end, sampleBatch(room, 2));
    silent.catch(() => {});
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(REQUEST_DEADLINE_MS);
    await expect(silent).rejects.toMatchObject({ name: "TrunklineError", cause: { message: /no answer/ } });
    kafka.resume();

    // Whether it arrived all the same, before the barrier, behind it, or never: it is in the tail, or it does not count.
    const opened = await log.open(0);
    const known = opened.tail.map(({ event }) => event.seq);
    expect([[1], [1, 2]]).toContainEqual(known);
    const next = known.length + 1;
    let outcome = await log.append(0, opened.end, sampleBatch(room, next));
    if (outcome.status === "displaced") outcome = await log.append(0, (await log.open(0)).end, sampleBatch(room, next));
    expect(outcome.status).toBe("durable");
    expect((await log.read(0, 0, 10)).map(({ event }) => event.seq)).toEqual([...known, next]);
  });

  describe("that asks who is there", () => {
    it("takes what the node knows of itself over TLS, and nobody else", { timeout: START_MS }, async () => {
      const pair = await selfSigned();
      const kafka = await useBroker({ ...pair, username: "ada", password: "secret" });
      const tls = { ca: pair.certificate, serverName: "broker.test" };
      for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
        const sasl: KafkaSasl = { mechanism, username: "ada", password: "secret" };
        const options = kafkaOptions(kafka.securedUrl, { tls, sasl });
        const log = await openEventLog(options);
        const { end } = await log.open(0);
        expect((await log.append(0, end, sampleBatch(newRoom(), 1))).status).toBe("durable");
        expect(await log.read(0, 0, 10)).toHaveLength(1);
        log.close();
        const wrong = new KafkaPartitions({ ...options, topic: "any", sasl: { ...sasl, password: "guess" } });
        await expect(wrong.topicId()).rejects.toThrow(/[Aa]uthentication|SASL/);
        wrong.close();
      }
      const options = kafkaOptions(kafka.securedUrl, { tls: { ca: pair.certificate } });
      const misnamed = new KafkaPartitions({ ...options, topic: "any" });
      await expect(misnamed.topicId()).rejects.toThrow(/altnames/);
      misnamed.close();
    });

    it("takes a node by its certificate, and nobody else", { timeout: START_MS }, async () => {
      const { ca, server, client, stranger } = makeCertificates();
      const [certificate, key, clientCa] = [server.cert, server.key, ca].map(String) as [string, string, string];
      const kafka = await useBroker({ certificate, key, clientCa, username: "ada", password: "secret" });
      const tls = { ca, identity: { certificate: client.cert, key: client.key } };
      const options = kafkaOptions(kafka.mutualUrl, { tls });
      const log = await openEventLog(options);
      onTestFinished(() => log.close());
      const { end } = await log.open(0);
      expect((await log.append(0, end, sampleBatch(newRoom(), 1))).status).toBe("durable");
      const notifications = await openNotifications({ ...options, partitions: 1 });
      onTestFinished(() => notifications.close());
      await notifications.notify(create(NotificationSchema, { notificationId: "n", tenantId: "acme", userId: "ada" }));
      for (const pair of [undefined, stranger]) {
        const identity = pair && { certificate: pair.cert, key: pair.key };
        const refused = new KafkaPartitions({ ...options, topic: "any", tls: { ca, ...(identity && { identity }) } });
        await expect(refused.topicId()).rejects.toThrow();
        refused.close();
      }
    });
  });
});
