// A Redis that Sentinel watches, both over TLS alone, each with a password of its own.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import type { SentinelRedis } from "../../../src/adapters/cluster/redis-address.js";
import { refusalOf } from "../../../src/adapters/cluster/refusal.js";
import { describeWith } from "../../support/services/describe-with.js";
import { find, lastingPort, ServiceProcess } from "../../support/services/process.js";
import { RedisServer } from "../../support/services/redis.js";
import { makeCertificates, writeCertificates } from "../../transport/grpc/certificates.js";

const START_MS = 60_000;
const MASTER = "main";

describeWith("redis", "a Redis whose Sentinel speaks TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-sentinel-tls-"));
  const path = (name: string) => join(folder, name);
  const stops: (() => Promise<void>)[] = [];
  const certificates = makeCertificates();
  const authority = { ca: certificates.ca.toString() };
  let address: SentinelRedis;
  let masterPort: number;

  beforeAll(async () => {
    writeCertificates(certificates, folder);
    masterPort = await lastingPort();
    const command = (await find("redis-server")) ?? "";
    const settings = {
      "tls-cert-file": path("server.crt"),
      "tls-key-file": path("server.key"),
      "tls-ca-cert-file": path("ca.crt"),
      "tls-auth-clients": "no",
      "tls-replication": "yes",
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const master = await RedisServer.start(command, [
      "--tls-port",
      `${masterPort}`,
      "--requirepass",
      "of redis",
      ...flags,
    ]);
    stops.push(() => master.stop());
    const port = await lastingPort();
    const lines = [
      "port 0",
      `tls-port ${port}`,
      "bind 127.0.0.1",
      `dir ${folder}`,
      ...Object.entries(settings).map(([name, value]) => `${name} ${value}`),
      'requirepass "of sentinel"',
      `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 1`,
      `sentinel auth-pass ${MASTER} "of redis"`,
    ];
    writeFileSync(path("sentinel.conf"), `${lines.join("\n")}\n`);
    const sentinel = await ServiceProcess.start({
      command,
      arguments: [path("sentinel.conf"), "--sentinel"],
      directory: folder,
      port,
    });
    stops.push(() => sentinel.stop());
    address = {
      sentinels: [`127.0.0.1:${port}`],
      master: MASTER,
      password: "of redis",
      tls: authority,
      sentinelPassword: "of sentinel",
      sentinelTls: authority,
    };
  }, START_MS);
  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
    rmSync(folder, { recursive: true });
  }, START_MS);

  const options = { name: "test", onError: () => {}, deadlineMs: 600_000 };

  it("is found, and asked over TLS", async () => {
    const redis = await connectRedis(address, options);
    const info = await redis.info("server");
    await redis.set("harbour", "open");
    expect(await redis.get("harbour")).toBe("open");
    redis.disconnect();
    // The port that speaks TLS is the one that Sentinel has named.
    expect(info).toContain("redis_mode:standalone");
    const clients = await connectRedis(
      { url: `rediss://:of%20redis@127.0.0.1:${masterPort}`, tls: authority },
      options,
    );
    expect(await clients.get("harbour")).toBe("open");
    clients.disconnect();
  });

  it("is not taken with a certificate of a stranger's", async () => {
    const stranger = { ...address, tls: { ca: certificates.stranger.cert.toString() } };
    const refused = await connectRedis(stranger, options).then(() => undefined, refusalOf);
    expect(refused).toMatch(/its certificate is not trusted: /);
  });
});
