// A cluster under test: nodes, each a process of its own, with names in the services that no other cluster has.

import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { untilReady } from "../process/ready.js";
import { startNode } from "../servers.js";
import type { Context } from "../suite/suite.js";
import type { TrunklineTarget } from "../target.js";
import type { BenchServices } from "./services.js";

/** Shards: as many as suit a small installation. */
export const SHARDS = 16;
const SHARE_MS = 6_000;

export interface BenchCluster {
  /** Of the cluster, and of its database. */
  readonly name: string;
  readonly nodes: readonly TrunklineTarget[];
  stop(): Promise<void>;
}

export interface ClusterSettings {
  /** TRUNKLINE_… variables of all nodes, instead of what is set here. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts so many nodes on the services; resolves once every shard has an owner that has opened it. */
export async function startCluster(
  context: Context,
  services: BenchServices,
  count: number,
  { environment: set = {} }: ClusterSettings = {},
): Promise<BenchCluster> {
  const name = `bench-${randomUUID()}`;
  const data = await mkdtemp(join(tmpdir(), "trunkline-bench-"));
  const running: { readonly target: TrunklineTarget; stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((node) => node.stop()));
    await rm(data, { recursive: true, force: true });
    await forget(services, name);
  };
  try {
    for (let number = 1; number <= count; number++) {
      const named = { ...environmentOf(services, name), TRUNKLINE_NODE_NAME: `node-${number}` };
      const environment = { ...named, ...set };
      running.push(await startNode(context.children, data, environment, context.options.profile));
    }
    // Those that came first give the others their share of the shards.
    await pause(SHARE_MS);
    for (const { target } of running) await untilReady(target.webPort);
    return { name, nodes: running.map(({ target }) => target), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function environmentOf(services: BenchServices, name: string): Readonly<Record<string, string>> {
  return {
    TRUNKLINE_ENGINE: "cluster",
    TRUNKLINE_CLUSTER_NAME: name,
    TRUNKLINE_SHARDS: `${SHARDS}`,
    TRUNKLINE_REDIS_URL: services.urlOf("redis"),
    TRUNKLINE_KAFKA_BROKERS: services.urlOf("kafka"),
    TRUNKLINE_MONGODB_URL: services.urlOf("mongo"),
    TRUNKLINE_MONGODB_DATABASE: name,
    TRUNKLINE_PEER_PORT: "0",
  };
}

/** The stand-in of MongoDB keeps everything in memory. */
async function forget(services: BenchServices, name: string): Promise<void> {
  const client = new MongoClient(services.urlOf("mongo"));
  try {
    await client.db(name).dropDatabase();
  } finally {
    await client.close();
  }
}
