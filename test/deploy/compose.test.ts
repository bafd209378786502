// What deploy/ says is what the server understands. No container is started here.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { authOptions } from "../../src/cli/backbone-options.js";
import { bridgeOptions } from "../../src/cli/bridge.js";
import { clusterOptions } from "../../src/cli/cluster-options.js";
import { linkSecrets } from "../../src/cli/link-secret.js";
import { resolve } from "../ops/config/config-input.js";

const DEPLOY = join(import.meta.dirname, "../../deploy");
const compose = z
  .object({
    services: z.record(
      z.string(),
      z.object({
        image: z.string(),
        command: z.array(z.string()).optional(),
        environment: z.record(z.string(), z.string()).optional(),
        profiles: z.array(z.string()).optional(),
        depends_on: z.record(z.string(), z.unknown()).optional(),
        volumes: z.array(z.string()).optional(),
      }),
    ),
    volumes: z.record(z.string(), z.unknown()),
  })
  .parse(parse(readFileSync(join(DEPLOY, "compose.yaml"), "utf8"), { merge: true }));
const { services } = compose;
const nginx = readFileSync(join(DEPLOY, "nginx.conf"), "utf8");

/** As Compose fills it in where nothing is set. */
function environmentOf(name: string): Record<string, string> {
  const stated = Object.entries(services[name]?.environment ?? {});
  return Object.fromEntries(stated.map(([key, value]) => [key, value.replace(/^\$\{\w+:-(.*)\}$/, "$1")]));
}

describe("deploy/compose.yaml", () => {
  test.each(["node-1", "node-2"])(
    "starts %s as a node of the cluster, where other nodes reach it by its name",
    (name) => {
      expect(services[name]?.command).toEqual(["serve"]);
      const { config } = resolve({ environment: environmentOf(name) });
      const options = clusterOptions(config);
      expect(options).toMatchObject({ nodeName: name, peers: { address: `${name}:${config.peerPort}` } });
      expect(options.peers.secret.length).toBeGreaterThanOrEqual(16);
      expect(authOptions(config).address).toBe("auth:9091");
      const named = [options.mongo.url, JSON.stringify(options.redis), ...options.kafka.brokers].join();
      for (const service of ["mongo:27017", "redis:6379", "kafka:9092"]) expect(named).toContain(service);
    },
  );

  test("starts an auth service that the nodes reach", () => {
    const { config } = resolve({ environment: environmentOf("auth") });
    expect([config.authHost, config.authPort, config.authServeInsecure]).toEqual(["0.0.0.0", 9091, true]);
    expect(config.jwtSecret?.length).toBeGreaterThanOrEqual(32);
  });

  test.each(["bridge-1", "bridge-2"])("links %s to the nodes, if it is asked for", (name) => {
    expect(services[name]).toMatchObject({ command: ["bridge"], profiles: ["edge"] });
    const { config } = resolve({ environment: environmentOf(name) });
    const { backbones, backboneTls, secret, host } = bridgeOptions(config);
    expect({ backbones, backboneTls, host }).toEqual({
      backbones: ["node-1:9090", "node-2:9090"],
      backboneTls: "plain",
      host: "0.0.0.0",
    });
    for (const node of ["node-1", "node-2"]) {
      expect(linkSecrets(resolve({ environment: environmentOf(node) }).config)).toEqual([secret]);
    }
  });

  test("names only services and volumes that it has", () => {
    for (const { depends_on = {}, volumes = [] } of Object.values(services)) {
      for (const service of Object.keys(depends_on)) expect(services).toHaveProperty(service);
      const named = volumes.map((volume) => volume.split(":")[0] ?? "").filter((volume) => /^\w/.test(volume));
      for (const volume of named) expect(compose.volumes).toHaveProperty(volume);
    }
  });
});

test("deploy/nginx.conf goes to the ports on which the nodes listen", () => {
  const nodes = Object.keys(services).filter((name) => name.startsWith("node-"));
  const { config } = resolve({ environment: environmentOf("node-1") });
  for (const port of [config.bridgePort, config.grpcPort]) {
    for (const node of nodes) expect(nginx).toContain(`server ${node}:${port} `);
  }
});

test("deploy/nginx-edge.conf goes to the port on which the bridges listen, and buffers no stream", () => {
  const edge = readFileSync(join(DEPLOY, "nginx-edge.conf"), "utf8");
  const bridges = Object.keys(services).filter((name) => name.startsWith("bridge-"));
  const { config } = resolve({ environment: environmentOf("bridge-1") });
  for (const bridge of bridges) expect(edge).toContain(`server ${bridge}:${config.bridgePort} `);
  expect([...edge.matchAll(/proxy_buffering off;/g)]).toHaveLength([...edge.matchAll(/proxy_pass /g)].length);
});

test("deploy/Dockerfile copies only what is there", () => {
  const sources = [...readFileSync(join(DEPLOY, "Dockerfile"), "utf8").matchAll(/^COPY (?!--from)(.*) \S+$/gm)];
  const names = sources.flatMap(([, names = ""]) => names.split(" "));
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) expect(() => readFileSync(join(DEPLOY, "..", name))).not.toThrow(/ENOENT/);
});
