// trunkline nodes

import { type NodeReport, readNodes } from "../adapters/cluster/cluster-nodes.js";
import { reasonOf } from "../backbone/dependency.js";
import { redisOptions } from "./cluster-options.js";
import type { Command } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";

const COLUMNS = ["NAME", "ID", "ADDRESS", "SINCE", "STATE", "SHARDS", "SESSIONS", "LOAD", "CANNOT ASK"] as const;

export const nodesCommand: Command = {
  name: "nodes",
  summary: "list the nodes of a cluster",
  usage: "[--format FORMAT] [options]",
  description:
    "Lists the live nodes of a cluster, as Redis knows them: where other nodes reach each, since when it is there, how many shards it owns, its live sessions, how busy it is, and which others it cannot ask. A node that was killed is listed for 5 s more.",
  examples: ["TRUNKLINE_REDIS_URL=redis://redis.internal:6379 trunkline nodes", "trunkline nodes --format json"],
  positionals: [],
  flags: {
    format: {
      placeholder: "table|json",
      doc: "How they are listed. json: one object a line. [table]",
      required: false,
      list: false,
    },
  },
  groups: [],
  also: [
    "config",
    "clusterName",
    "redisPasswordFile",
    "redisSentinels",
    "redisMaster",
    "redisSentinelUser",
    "redisSentinelPasswordFile",
    "redisSentinelTls",
    "redisCluster",
    "redisCa",
    "redisClientCert",
    "redisClientKey",
  ],
  without: [],
  defaults: {},
  run: async ({ config, flags, terminal }) => {
    const format = flags.get("format")?.at(-1) ?? "table";
    if (format !== "table" && format !== "json") throw new CommandError("--format: must be one of table, json");
    const address = redisOptions(config);
    try {
      const { connectRedis } = await import("../adapters/cluster/redis.js");
      const redis = await connectRedis(address, { name: "trunkline:nodes", onError: () => {} });
      try {
        const nodes = await readNodes(redis, config.clusterName);
        terminal.out(format === "json" ? jsonLines(nodes) : table(nodes));
      } finally {
        redis.disconnect();
      }
    } catch (error) {
      throw new CommandError(`Redis is not reachable: ${reasonOf(error)}`, EXIT.unavailable, { cause: error });
    }
    return EXIT.ok;
  },
};

function jsonLines(nodes: readonly NodeReport[]): string {
  return nodes.map((node) => `${JSON.stringify({ ...node, since: timeOf(node.since) })}\n`).join("");
}

function table(nodes: readonly NodeReport[]): string {
  const rows = nodes.map(({ name, id, address, since, leaving, able, shards, sessions, load, unreached }) => [
    name,
    id,
    address,
    timeOf(since),
    leaving ? "leaving" : able ? "live" : "cannot write",
    `${shards}`,
    `${sessions}`,
    `${Math.round(load * 100)} %`,
    unreached.join(", ") || "-",
  ]);
  const all = [[...COLUMNS], ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
