// From variables and files to what a node of a cluster is started with.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { clusterOptions } from "../../src/cli/cluster-options.js";
import { effectiveJson, effectiveTable } from "../../src/ops/config/document.js";
import { type Given, resolve } from "../ops/config/config-input.js";

const BASE = {
  TRUNKLINE_ENGINE: "cluster",
  TRUNKLINE_REDIS_URL: "redis://redis.internal:6379",
  TRUNKLINE_KAFKA_BROKERS: "k1.internal:9092,k2.internal:9092",
  TRUNKLINE_MONGODB_URL: "mongodb://m1.internal,m2.internal/?replicaSet=rs0",
  TRUNKLINE_CLUSTER_SECRET: "a secret of a cluster",
};

function read(environment: Record<string, string> = {}, flags: Given["flags"] = {}) {
  return clusterOptions(resolve({ environment: { ...BASE, ...environment }, flags }).config);
}

function useFile(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-options-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "file");
  writeFileSync(path, content);
  return path;
}

describe("the options of a cluster", () => {
  test("need no more than the services and a secret", () => {
    expect(read()).toMatchObject({
      name: "trunkline",
      redis: { url: "redis://redis.internal:6379" },
      kafka: { brokers: ["k1.internal:9092", "k2.internal:9092"], replication: 3, retentionMs: 7 * 86_400_000 },
      mongo: { url: BASE.TRUNKLINE_MONGODB_URL, database: "trunkline" },
      peers: { host: "127.0.0.1", port: 9095, secret: "a secret of a cluster" },
      allowUnsafe: false,
      startDeadlineMs: 30_000,
    });
  });

  test.each([
    ["TRUNKLINE_REDIS_URL", { TRUNKLINE_REDIS_URL: "" }],
    ["TRUNKLINE_REDIS_URL: must begin with redis://", { TRUNKLINE_REDIS_URL: "http://redis.internal" }],
    ["TRUNKLINE_REDIS_URL: is no URL", { TRUNKLINE_REDIS_URL: "redis://redis.internal:port" }],
    ["TRUNKLINE_KAFKA_BROKERS", { TRUNKLINE_KAFKA_BROKERS: "" }],
    ["TRUNKLINE_KAFKA_BROKERS: must be HOST:PORT", { TRUNKLINE_KAFKA_BROKERS: "k1.internal:9092,k2.internal" }],
    ["TRUNKLINE_REDIS_CLUSTER: must be HOST:PORT", { TRUNKLINE_REDIS_CLUSTER: "redis.internal:99999" }],
    ["TRUNKLINE_PEER_ADDRESS: must be HOST:PORT", { TRUNKLINE_PEER_ADDRESS: "http://one.internal:9095" }],
    ["TRUNKLINE_CLUSTER_NAME: must be 1 to 64", { TRUNKLINE_CLUSTER_NAME: "our {cluster}" }],
    ["TRUNKLINE_NODE_NAME: must be 1 to 64", { TRUNKLINE_NODE_NAME: "node 1" }],
    ["TRUNKLINE_CLUSTER_SECRET: must have at least 16 characters", { TRUNKLINE_CLUSTER_SECRET: "short" }],
    ["--cluster-secret-file: must have at least 16 characters", { TRUNKLINE_CLUSTER_SECRET_FILE: "/dev/null" }],
    ["--peer-host 0.0.0.0 can be reached from other machines", { TRUNKLINE_PEER_HOST: "0.0.0.0" }],
    ["TRUNKLINE_MONGODB_URL", { TRUNKLINE_MONGODB_URL: "" }],
    ["TRUNKLINE_CLUSTER_SECRET or --cluster-secret-file", { TRUNKLINE_CLUSTER_SECRET: "" }],
    ["TRUNKLINE_KAFKA_USER", { TRUNKLINE_KAFKA_SASL: "plain", TRUNKLINE_KAFKA_PASSWORD: "p" }],
    ["TRUNKLINE_KAFKA_PASSWORD or", { TRUNKLINE_KAFKA_SASL: "scram-sha-256", TRUNKLINE_KAFKA_USER: "u" }],
    ["--cluster-secret-file: ENOENT", { TRUNKLINE_CLUSTER_SECRET_FILE: "/nowhere/at/all" }],
    ["--retention is of the embedded store", { TRUNKLINE_RETENTION: "30d" }],
    ["--peer-tls-cert and --peer-tls-key go together", { TRUNKLINE_PEER_TLS_CERT: import.meta.filename }],
    ["--peer-tls-cert and --peer-tls-ca go together", { TRUNKLINE_PEER_TLS_CA: import.meta.filename }],
  ])("say what is missing: %s", (message, environment) => {
    expect(() => read(environment)).toThrow(message);
  });

  test("take secrets from files", () => {
    const options = read({
      TRUNKLINE_REDIS_URL: "rediss://node@redis.internal:6379/2",
      TRUNKLINE_REDIS_PASSWORD_FILE: useFile("p@ss word\n"),
      TRUNKLINE_MONGODB_URL: "mongodb://node:old@m1.internal,m2.internal/?replicaSet=rs0",
      TRUNKLINE_MONGODB_PASSWORD_FILE: useFile("a/b\n"),
      TRUNKLINE_KAFKA_SASL: "scram-sha-512",
      TRUNKLINE_KAFKA_USER: "node",
      TRUNKLINE_KAFKA_PASSWORD_FILE: useFile("from a file\n"),
      TRUNKLINE_CLUSTER_SECRET_FILE: useFile("the secret of a file\n"),
    });
    expect(options.mongo.url).toBe("mongodb://node:a%2Fb@m1.internal,m2.internal/?replicaSet=rs0");
    expect(options.kafka.sasl).toEqual({ mechanism: "scram-sha-512", username: "node", password: "from a file" });
    expect(options.peers.secret).toBe("the secret of a file");
    expect(JSON.stringify(options.redis)).toMatch(/p%40ss%20word|p@ss word/);
  });

  test("use one certificate of a node in both directions", () => {
    const pem = useFile("PEM");
    const { peers } = read({
      TRUNKLINE_PEER_TLS_CERT: pem,
      TRUNKLINE_PEER_TLS_KEY: pem,
      TRUNKLINE_PEER_TLS_CA: pem,
    });
    const it = Buffer.from("PEM");
    expect(peers.serverTls).toEqual({ certificate: it, key: it, clientCa: it });
    expect(peers.clientTls).toEqual({ ca: it, identity: { certificate: it, key: it } });
  });

  test("do without TLS between nodes only when told to", () => {
    expect(read().peers).not.toHaveProperty("serverTls");
    expect(read({}, { peerInsecure: true }).peers).toMatchObject({ serverTls: "plain", clientTls: "plain" });
  });
});

test("passwords in URLs are nowhere shown, hosts are", () => {
  const resolved = resolve({
    environment: {
      ...BASE,
      TRUNKLINE_REDIS_URL: "rediss://node:hush/on?e@x@redis.internal:6379/2",
      TRUNKLINE_MONGODB_URL: "mongodb+srv://node:hush-two@m.internal/?authSource=admin&x=hush-three",
      TRUNKLINE_KAFKA_PASSWORD: "hush-four",
    },
  });
  for (const text of [effectiveTable(resolved), effectiveJson(resolved)]) {
    expect(text).not.toContain("hush");
    expect(text).not.toContain("a secret of");
    expect(text).toContain("rediss://redis.internal:6379/2");
    expect(text).toContain("mongodb+srv://m.internal/");
  }
});
