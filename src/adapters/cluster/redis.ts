// Connections to Redis. Nothing waits for a Redis that is away: commands fail at once, or after a deadline.

import { Cluster, type Command, Redis } from "ioredis";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import {
  type ClusteredRedis,
  CONNECT_DEADLINE_MS,
  clusterOptions,
  hostAndPort,
  nodeOptions,
  type RedisAddress,
  sentinelOptions,
  standaloneOptions,
  standaloneUrl,
} from "./redis-address.js";
import { refusalOf } from "./refusal.js";

/** Different ones, of the tries for the first connection. */
const MAX_ERRORS = 8;

/** Takes commands: one Redis, its master by Sentinel, or a Redis Cluster. */
export type RedisCommands = Redis | Cluster;

export interface RedisConnectionOptions {
  /** What the connection is for, as CLIENT LIST shows it. */
  readonly name: string;
  /** Longest wait for the first connection, in milliseconds. Default 5,000. */
  readonly deadlineMs?: number;
  /** The connection has failed; it is made again by itself. */
  readonly onError: (error: Error) => void;
}

/** The hosts that an address names. */
export function redisHosts(address: RedisAddress): readonly string[] {
  if ("cluster" in address) return address.cluster.map((node) => hostAndPort(node).host);
  if ("sentinels" in address) return address.sentinels.map((sentinel) => hostAndPort(sentinel).host);
  return [new URL(address.url).hostname.replaceAll(/[[\]]/g, "")];
}

/** Resolves once commands are taken; rejects with UNAVAILABLE where that is not in time, or as soon as Redis refuses this node, and gives up. */
export async function connectRedis(address: RedisAddress, options: RedisConnectionOptions): Promise<RedisCommands> {
  if (!("cluster" in address)) return await opened(createRedis(address, options.name), options);
  const nodes = address.cluster.map((node) => hostAndPort(node));
  const cluster = await opened(new BoundedCluster(nodes, clusterOptions(address, options.name)), options);
  cluster.on("node error", options.onError);
  // Made before they are needed: a command would wait for them.
  await Promise.all(cluster.nodes("master").map((node) => node.ping())).catch(options.onError);
  return cluster;
}

/** A connection that is not made yet. */
export function createRedis(address: Exclude<RedisAddress, ClusteredRedis>, name: string): Redis {
  if ("sentinels" in address) return new Redis(sentinelOptions(address, name));
  return new Redis(standaloneUrl(address), standaloneOptions(address, name));
}

/** A connection to one node of a Redis Cluster, given as `host:port`, that is not made yet. */
export function createNode(address: ClusteredRedis, node: string, name: string): Redis {
  return new Redis(nodeOptions(address, hostAndPort(node), name));
}

/** Resolves once the connection is ready; rejects with UNAVAILABLE where it is not in time, or as soon as it is refused, and gives up. */
export async function opened<T extends RedisCommands>(
  redis: T,
  { onError, deadlineMs = CONNECT_DEADLINE_MS }: Omit<RedisConnectionOptions, "name">,
): Promise<T> {
  redis.on("error", onError);
  const ready = Promise.withResolvers<void>();
  // Of several tries one may say more than the last: a Redis that does not take a certificate hangs up at times before it has said so.
  const said = new Map<string, unknown>();
  const failed = (error: unknown): void => {
    const told = isOfNodes(error) ? error.lastNodeError : error;
    // It does not mend itself by waiting.
    if (refusalOf(told) !== undefined) ready.reject(told);
    said.delete(String(told));
    if (said.size < MAX_ERRORS) said.set(String(told), told);
  };
  const late = (): void => {
    const errors = said.size === 0 ? [new Error(`no answer within ${deadlineMs} ms`)] : [...said.values()].reverse();
    ready.reject(new AggregateError(errors));
  };
  redis.once("ready", ready.resolve);
  redis.on("error", failed);
  const timer = setTimeout(late, deadlineMs);
  try {
    redis.connect().catch(failed);
    await ready.promise;
    // ioredis goes on in database 0 where it may not have the one that was asked for.
    if (redis instanceof Redis && redis.options.db) await redis.select(redis.options.db);
    return redis;
  } catch (cause) {
    redis.disconnect();
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "Redis is not reachable", { cause });
  } finally {
    clearTimeout(timer);
    redis.off("error", failed);
  }
}

/** Of a Redis Cluster that cannot be reached: what its node said is below, and not as a cause. */
function isOfNodes(error: unknown): error is Error & { readonly lastNodeError: Error } {
  return error instanceof Error && "lastNodeError" in error && error.lastNodeError instanceof Error;
}

/** What ioredis says of each command while it has no connection. */
const UNCONNECTED = /enableOfflineQueue/;

/** Says whether Redis answers, and why there is no connection where there is none. */
export class RedisProbe {
  readonly #redis: RedisCommands;
  #last: unknown = new Error("there is no connection");

  constructor(redis: RedisCommands) {
    this.#redis = redis;
    redis.on("error", (error) => {
      this.#last = error;
    });
  }

  /** Rejects where it does not answer. */
  async ask(): Promise<void> {
    try {
      await this.#redis.ping();
    } catch (cause) {
      throw this.explain(cause);
    }
  }

  /** Why a command has failed. */
  explain(cause: unknown): unknown {
    return cause instanceof Error && UNCONNECTED.test(cause.message) ? this.#last : cause;
  }
}

/** Refuses commands at once where no node is known: ioredis would keep them until there is one. */
class BoundedCluster extends Cluster {
  override sendCommand(...[command, ...rest]: Parameters<Cluster["sendCommand"]>): unknown {
    if (this.status === "ready" || command.name === "cluster") return super.sendCommand(command, ...rest);
    return refuse(command);
  }
}

function refuse(command: Command): Promise<unknown> {
  command.reject(new Error("no node of the Redis Cluster is reachable"));
  return command.promise;
}
