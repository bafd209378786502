// Nodes on services that ask who is there: over TLS, with users, passwords and certificates, and between each other too.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { startKafka } from "../support/services/kafka.js";
import { kafkaOf } from "../support/services/kafka-client.js";
import { startMongo } from "../support/services/mongo.js";
import { find, lastingPort } from "../support/services/process.js";
import { RedisServer } from "../support/services/redis.js";
import type { RunningService } from "../support/services/service.js";
import { Person } from "../support/story/person.js";
import { makeCertificates, writeCertificates } from "../transport/grpc/certificates.js";

const START_MS = 120_000;
const PASSWORD = "anchor-and-chain-4711";
const WRONG_PASSWORD = "guess-and-guess-0815";

interface Environment {
  readonly [name: string]: string;
}

describeCluster("a cluster on secured services", () => {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-secured-"));
  const path = (name: string) => join(folder, name);
  const stops: (() => Promise<void>)[] = [];
  const environment: Environment = {
    TRUNKLINE_PEER_TLS_CERT: path("server.crt"),
    TRUNKLINE_PEER_TLS_KEY: path("server.key"),
    TRUNKLINE_PEER_TLS_CA: path("ca.crt"),
    TRUNKLINE_REDIS_PASSWORD_FILE: path("password"),
    TRUNKLINE_REDIS_CA: path("ca.crt"),
    TRUNKLINE_REDIS_CLIENT_CERT: path("client.crt"),
    TRUNKLINE_REDIS_CLIENT_KEY: path("client.key"),
    TRUNKLINE_MONGODB_CA: path("ca.crt"),
    TRUNKLINE_KAFKA_CA: path("ca.crt"),
    TRUNKLINE_KAFKA_SASL: "scram-sha-256",
    TRUNKLINE_KAFKA_USER: "ada",
    TRUNKLINE_KAFKA_PASSWORD_FILE: path("password"),
    TRUNKLINE_KAFKA_PARTITIONS: "4",
    TRUNKLINE_INBOUND: "true",
  };
  let cluster: TestCluster;
  /** Where the broker asks nobody. */
  let plainKafka: string;

  beforeAll(async () => {
    const certificates = makeCertificates();
    writeCertificates(certificates, folder);
    writeFileSync(path("password"), `${PASSWORD}\n`);
    writeFileSync(path("wrong-password"), WRONG_PASSWORD);
    const tlsPort = await lastingPort();
    const [redis, kafka, mongo] = await Promise.all([
      RedisServer.start((await find("redis-server")) ?? "", redisSettings(path, tlsPort)),
      startKafka({
        secured: {
          certificate: certificates.server.cert.toString(),
          key: certificates.server.key.toString(),
          username: "ada",
          password: PASSWORD,
        },
      }),
      startMongo({ cert: path("server.crt"), key: path("server.key") }),
    ]);
    if (kafka === undefined || mongo === undefined) throw new Error("there are services, and this test has none");
    const services: readonly Pick<RunningService, "stop">[] = [redis, kafka, mongo];
    plainKafka = kafka.url;
    for (const service of services) stops.push(() => service.stop());
    const addresses = { redis: `rediss://ada@127.0.0.1:${tlsPort}`, kafka: kafka.securedUrl, mongo: mongo.url };
    cluster = new TestCluster({ services: addresses, environment });
  }, START_MS);
  afterAll(async () => {
    await cluster?.dispose();
    await Promise.all(stops.map((stop) => stop()));
    rmSync(folder, { recursive: true });
  }, START_MS);

  test("carries a conversation between two nodes", { timeout: START_MS }, async () => {
    const [one, two] = await cluster.start("one", "two");
    await one.ready();
    await two.ready();
    const [ada, bob] = [await new Person(one, "ada").comes(), await new Person(two, "bob").comes()];
    for (const room of ["harbour", "market", "yard", "pier"]) {
      await ada.makes(room, { members: [{ userId: "bob" }] });
      await ada.reads(room);
      await bob.reads(room);
      await ada.says(room, "is anybody there?");
      await bob.says(room, "yes");
      await ada.sees(room, "ada: is anybody there?", "bob: yes");
    }
    expect(cluster.faults).toEqual([]);
  });

  test("carries commands by Kafka", { timeout: START_MS }, async () => {
    const [one] = cluster.nodes;
    if (one === undefined) throw new Error("there is no node");
    const ada = await new Person(one, "ada").comes();
    await ada.makes("office");
    await ada.reads("office");
    const producer = kafkaOf(plainKafka).producer();
    onTestFinished(() => producer.disconnect());
    await producer.connect();
    const body = { text: "Invoice 2041 is paid." };
    const sendToRoom = { roomId: "office", key: "invoice-2041", body };
    const value = JSON.stringify({ tenantId: "demo", serviceId: "billing", sendToRoom });
    const headers = { "content-type": "application/json" };
    await producer.send({ topic: `${cluster.name}.inbound`, messages: [{ value, headers }] });
    await ada.sees("office", "billing: Invoice 2041 is paid.");
    expect(cluster.faults).toEqual([]);
  });

  const refused: readonly (readonly [string, Environment, string])[] = [
    [
      "a password that Redis does not know",
      { TRUNKLINE_REDIS_PASSWORD_FILE: path("wrong-password") },
      "Redis: WRONGPASS invalid username-password pair or user is disabled.",
    ],
    [
      "another authority than Redis's",
      { TRUNKLINE_REDIS_CA: path("stranger.crt") },
      "Redis: its certificate is not trusted: self-signed certificate in certificate chain",
    ],
    [
      "a certificate that Redis does not take",
      { TRUNKLINE_REDIS_CLIENT_CERT: path("stranger.crt"), TRUNKLINE_REDIS_CLIENT_KEY: path("stranger.key") },
      "Redis: it does not take this node's certificate: unknown ca",
    ],
    [
      "a certificate for Redis whose time is over",
      { TRUNKLINE_REDIS_CLIENT_CERT: path("expired.crt"), TRUNKLINE_REDIS_CLIENT_KEY: path("expired.key") },
      "Redis: it does not take this node's certificate: certificate expired",
    ],
    [
      "a password that Kafka does not know",
      { TRUNKLINE_KAFKA_PASSWORD_FILE: path("wrong-password") },
      "Kafka: SASL SCRAM SHA256 authentication failed",
    ],
    [
      "another authority than Kafka's",
      { TRUNKLINE_KAFKA_CA: path("stranger.crt") },
      "Kafka: its certificate is not trusted: unable to verify the first certificate",
    ],
    [
      "another authority than MongoDB's",
      { TRUNKLINE_MONGODB_CA: path("stranger.crt") },
      "MongoDB: its certificate is not trusted: ",
    ],
    [
      "a certificate for other nodes whose time is over",
      { TRUNKLINE_PEER_TLS_CERT: path("expired.crt"), TRUNKLINE_PEER_TLS_KEY: path("expired.key") },
      "--peer-tls-cert: the certificate is valid from",
    ],
  ];
  test.each(refused)(
    "does not start with %s, and says so in one line",
    { timeout: START_MS },
    async (name, differing, reason) => {
      const node = cluster.node(name.replaceAll(/[^a-zA-Z]/g, "-"), { environment: differing });
      const said = await node.start().then(
        () => ["started"],
        (cause: Error) => cause.message.split("\n").filter((line) => !line.startsWith("{")),
      );
      expect(said).toEqual([
        expect.stringMatching(/ended with [23] /),
        expect.stringContaining(`trunkline: ${reason}`),
      ]);
      for (const secret of [PASSWORD, WRONG_PASSWORD]) expect(String(said)).not.toContain(secret);
    },
  );
});

function redisSettings(path: (name: string) => string, tlsPort: number): readonly string[] {
  const files = ["--tls-cert-file", path("server.crt"), "--tls-key-file", path("server.key")];
  const clients = ["--tls-ca-cert-file", path("ca.crt"), "--tls-auth-clients", "yes"];
  const user = ["--user", "ada", "on", `>${PASSWORD}`, "~*", "&*", "+@all"];
  return ["--tls-port", `${tlsPort}`, ...files, ...clients, ...user, "--requirepass", PASSWORD];
}
