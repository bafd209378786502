// A Redis Cluster of the tests' own: three masters that share the slots, with a replica each where that is asked for.

import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { slotOf } from "../../../src/adapters/cluster/redis-slot.js";
import { freePort } from "./process.js";
import { RedisServer } from "./redis.js";

const SLOTS = 16_384;
const MASTERS = 3;
/** How long a node may be silent before it counts as gone, in milliseconds. */
const NODE_TIMEOUT_MS = 1_000;
const DEADLINE_MS = 15_000;
const POLL_MS = 25;
const KEYS_AT_ONCE = 100;

export interface RedisClusterNode {
  readonly server: RedisServer;
  /** For the tests' own commands to this very node. */
  readonly admin: Redis;
  readonly id: string;
  /** The port that it speaks to other nodes on. */
  readonly bus: number;
}

export class RedisClusterServers {
  readonly masters: readonly RedisClusterNode[];
  readonly replicas: readonly RedisClusterNode[];

  private constructor(masters: readonly RedisClusterNode[], replicas: readonly RedisClusterNode[]) {
    this.masters = masters;
    this.replicas = replicas;
  }

  /** Resolves once all nodes know that every slot is served. */
  static async start(command: string, { replicas = false } = {}): Promise<RedisClusterServers> {
    const nodes = await Promise.all(Array.from({ length: replicas ? 2 * MASTERS : MASTERS }, () => startNode(command)));
    const servers = new RedisClusterServers(nodes.slice(0, MASTERS), nodes.slice(MASTERS));
    try {
      await servers.#form();
    } catch (error) {
      await servers.stop();
      throw error;
    }
    return servers;
  }

  get addresses(): readonly string[] {
    return this.masters.map(({ server }) => server.address);
  }

  /** The master that serves the key's slot, as it was started. */
  masterOf(key: string): RedisClusterNode {
    const node = this.masters[Math.floor((slotOf(key) * MASTERS) / SLOTS)];
    if (node === undefined) throw new Error(`no master has ${key}`);
    return node;
  }

  /** One key of each master, all with the prefix. */
  keys(prefix: string): readonly string[] {
    return this.masters.map((master) => {
      for (let at = 0; ; at++) if (this.masterOf(`${prefix}:{${at}}`) === master) return `${prefix}:{${at}}`;
    });
  }

  /** Moves a slot that holds no keys. */
  async move(slot: number, to: RedisClusterNode): Promise<void> {
    for (const { admin } of [to, ...this.masters.filter((node) => node !== to)]) {
      await admin.cluster("SETSLOT", slot, "NODE", to.id);
    }
  }

  /** Moves a slot with the keys it holds, as resharding does: for a moment each node has some of them. */
  async moveWithKeys(slot: number, from: RedisClusterNode, to: RedisClusterNode): Promise<void> {
    await to.admin.cluster("SETSLOT", slot, "IMPORTING", from.id);
    await from.admin.cluster("SETSLOT", slot, "MIGRATING", to.id);
    for (const key of await from.admin.cluster("GETKEYSINSLOT", slot, KEYS_AT_ONCE)) {
      await from.admin.migrate("127.0.0.1", to.server.port, key, 0, DEADLINE_MS);
    }
    await this.move(slot, to);
  }

  async stop(): Promise<void> {
    const nodes = [...this.masters, ...this.replicas];
    for (const { admin } of nodes) admin.disconnect();
    await Promise.all(nodes.map(({ server }) => server.stop("SIGKILL")));
  }

  async #form(): Promise<void> {
    const nodes = [...this.masters, ...this.replicas];
    for (const [index, { admin }] of nodes.entries()) {
      await admin.cluster("SET-CONFIG-EPOCH", index + 1);
      const first = Math.ceil((index * SLOTS) / MASTERS);
      const last = Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1;
      if (index < MASTERS) await admin.cluster("ADDSLOTSRANGE", first, last);
    }
    const [one, ...others] = nodes;
    for (const { server, bus } of others) {
      await one?.admin.call("CLUSTER", "MEET", "127.0.0.1", server.port, bus);
    }
    await until(() => all(nodes, async ({ admin }) => (await nodesKnownTo(admin)) === nodes.length));
    for (const [index, { admin }] of this.replicas.entries()) {
      await admin.cluster("REPLICATE", this.masters[index]?.id ?? "");
    }
    await until(() => all(nodes, async ({ admin }) => (await admin.cluster("INFO")).includes("cluster_state:ok")));
    await until(() =>
      all(this.replicas, async ({ admin }) => (await admin.info("replication")).includes("link_status:up")),
    );
  }
}

async function startNode(command: string): Promise<RedisClusterNode> {
  const bus = await freePort();
  const clustered = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", `${bus}`];
  const hasty = ["--cluster-node-timeout", `${NODE_TIMEOUT_MS}`, "--repl-diskless-sync-delay", "0"];
  const server = await RedisServer.start(command, [
    ...clustered,
    ...hasty,
    "--cluster-replica-validity-factor",
    "0",
    "--enable-debug-command",
    "local",
  ]);
  const admin = new Redis(server.port, { retryStrategy: () => POLL_MS, maxRetriesPerRequest: 0 });
  admin.on("error", () => {});
  return { server, admin, bus, id: String(await admin.cluster("MYID")) };
}

async function nodesKnownTo(admin: Redis): Promise<number> {
  return Number(/cluster_known_nodes:(\d+)/.exec(await admin.cluster("INFO"))?.[1]);
}

async function all<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<boolean> {
  return (await Promise.all(items.map(test))).every(Boolean);
}

/** Resolves once it is so; rejects where it is not in time. */
export async function until(isSo: () => Promise<boolean>, deadlineMs = DEADLINE_MS): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!(await isSo())) {
    if (Date.now() > endMs) throw new Error(`it is not so after ${deadlineMs} ms`);
    await pause(POLL_MS);
  }
}
