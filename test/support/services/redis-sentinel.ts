// A Redis of the tests' own with a replica, and a Sentinel that makes it the master when the first one is gone.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { SentinelRedis } from "../../../src/adapters/cluster/redis-address.js";
import { freePort, removeDirectory, ServiceProcess, temporaryDirectory } from "./process.js";
import { RedisServer } from "./redis.js";
import { until } from "./redis-cluster.js";

const MASTER = "main";
/** How long the master may be silent before it counts as gone, in milliseconds. */
const DOWN_AFTER_MS = 500;
/** Redis and Sentinel have users and passwords of their own. */
const PASSWORD = "of redis";
const SENTINEL_PASSWORD = "of sentinel";

export interface SentinelServers {
  readonly address: SentinelRedis;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

/** Resolves once Sentinel knows both, and the replica has what the master has. */
export async function startSentinel(command: string): Promise<SentinelServers> {
  const secured = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];
  const master = await RedisServer.start(command, secured);
  const replica = await RedisServer.start(command, [...secured, "--replicaof", `127.0.0.1 ${master.port}`]);
  const directory = await temporaryDirectory("sentinel");
  const port = await freePort();
  const settings = join(directory, "sentinel.conf");
  await writeFile(settings, sentinelSettings(directory, port, master.port));
  const sentinel = await ServiceProcess.start({ command, arguments: [settings, "--sentinel"], directory, port });
  const servers: SentinelServers = {
    master,
    replica,
    address: {
      sentinels: [`127.0.0.1:${port}`],
      master: MASTER,
      password: PASSWORD,
      sentinelPassword: SENTINEL_PASSWORD,
    },
    stop: async () => {
      await Promise.all([sentinel.stop("SIGKILL"), master.stop("SIGKILL"), replica.stop("SIGKILL")]);
      await removeDirectory(directory);
    },
  };
  const [ask, copy] = [
    new Redis(port, { password: SENTINEL_PASSWORD }),
    new Redis(replica.port, { password: PASSWORD }),
  ];
  try {
    await until(async () => (await copy.info("replication")).includes("master_link_status:up"));
    await until(async () => String(await ask.call("SENTINEL", "MASTER", MASTER)).includes("num-slaves,1"));
    return servers;
  } catch (error) {
    await servers.stop();
    throw error;
  } finally {
    ask.disconnect();
    copy.disconnect();
  }
}

function sentinelSettings(directory: string, port: number, master: number): string {
  return [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${directory}`,
    `logfile ${join(directory, "sentinel.log")}`,
    `requirepass "${SENTINEL_PASSWORD}"`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${master} 1`,
    `sentinel auth-pass ${MASTER} "${PASSWORD}"`,
    `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER} 2000`,
    "",
  ].join("\n");
}
