// Services that know who is there and will not have it: they say so at once, and nobody waits for them. The deadlines here are longer than a test
// may take.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { connectMongo } from "../../../src/adapters/cluster/mongo.js";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { checkRedis } from "../../../src/adapters/cluster/redis-check.js";
import { refusalOf } from "../../../src/adapters/cluster/refusal.js";
import { describeWith } from "../../support/services/describe-with.js";
import { startMongo } from "../../support/services/mongo.js";
import { find, lastingPort } from "../../support/services/process.js";
import { RedisServer } from "../../support/services/redis.js";
import { type SentinelServers, startSentinel } from "../../support/services/redis-sentinel.js";
import { makeCertificates, writeCertificates } from "../../transport/grpc/certificates.js";

const LONG_MS = 600_000;
const START_MS = 60_000;

describeWith("redis", "a Redis that refuses", () => {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-refused-"));
  const certificates = makeCertificates();
  const stops: (() => Promise<void>)[] = [];
  let single: RedisServer;
  let clustered: RedisServer;
  let sentinel: SentinelServers;
  let tlsPort = 0;

  beforeAll(async () => {
    writeCertificates(certificates, folder);
    tlsPort = await lastingPort();
    const command = (await find("redis-server")) ?? "";
    const path = (name: string) => join(folder, name);
    const files = ["--tls-cert-file", path("server.crt"), "--tls-key-file", path("server.key")];
    const tls = [
      "--tls-port",
      `${tlsPort}`,
      ...files,
      "--tls-ca-cert-file",
      path("ca.crt"),
      "--tls-auth-clients",
      "no",
    ];
    const users = ["--requirepass", "right", "--user", "guest", "on", ">right", "~*", "&*", "+@read", "+@connection"];
    single = await RedisServer.start(command, [...tls, ...users]);
    stops.push(() => single.stop());
    clustered = await RedisServer.start(command, ["--cluster-enabled", "yes", "--requirepass", "right"]);
    stops.push(() => clustered.stop());
    sentinel = await startSentinel(command);
    stops.push(() => sentinel.stop());
  }, START_MS);
  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
    rmSync(folder, { recursive: true });
  }, START_MS);

  const cases: readonly (readonly [string, () => RedisAddress, RegExp])[] = [
    ["a wrong password", () => ({ url: `redis://:wrong@${single.address}` }), /^WRONGPASS /],
    ["no password", () => ({ url: `redis://${single.address}` }), /^NOAUTH /],
    ["a user it does not know", () => ({ url: `redis://nobody:right@${single.address}` }), /^WRONGPASS /],
    [
      "a wrong password for a Redis Cluster",
      () => ({ cluster: [clustered.address], password: "wrong" }),
      /^WRONGPASS /,
    ],
    ["Sentinel's wrong password", () => ({ ...sentinel.address, sentinelPassword: "wrong" }), /^Sentinel: WRONGPASS /],
    ["a wrong password behind Sentinel", () => ({ ...sentinel.address, password: "wrong" }), /^WRONGPASS /],
    [
      "a certificate of an authority that is not trusted",
      () => ({ url: `rediss://:right@127.0.0.1:${tlsPort}`, tls: { ca: certificates.stranger.cert.toString() } }),
      /^its certificate is not trusted: /,
    ],
  ];
  it.each(cases)("says so at once: %s", async (_, address, reason) => {
    const refused = await connectRedis(address(), { name: "test", onError: () => {}, deadlineMs: LONG_MS }).then(
      () => undefined,
      refusalOf,
    );
    expect(refused).toMatch(reason);
  });

  it("says what a user may not do", async () => {
    const address = { url: `redis://guest:right@${single.address}` };
    const redis = await connectRedis(address, { name: "test", onError: () => {}, deadlineMs: LONG_MS });
    const refused = await checkRedis(redis, false).then(() => undefined, refusalOf);
    redis.disconnect();
    expect(refused).toMatch(/^NOPERM /);
  });
});

describeWith("mongo", "a MongoDB that nobody trusts", () => {
  it("is told at once", { timeout: START_MS }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "trunkline-refused-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const certificates = makeCertificates();
    writeCertificates(certificates, folder);
    const mongo = await startMongo({ cert: join(folder, "server.crt"), key: join(folder, "server.key") });
    if (mongo === undefined) throw new Error("the services have a MongoDB, and this test none");
    onTestFinished(() => mongo.stop());
    const open = (ca: Buffer) =>
      connectMongo({ url: mongo.url, database: "test", shards: 1, tls: { ca }, deadlineMs: LONG_MS });
    await (await open(certificates.ca)).close();
    const refused = await open(certificates.stranger.cert).then(() => undefined, refusalOf);
    expect(refused).toMatch(/^its certificate is not trusted: /);
  });
});
