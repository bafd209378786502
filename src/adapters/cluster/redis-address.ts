// Where a Redis is, and how a connection to it behaves: nothing waits for a Redis that is away without bound, nothing is done twice.

import type { ClusterOptions, RedisOptions } from "ioredis";

/** Longest wait for a command's answer, in milliseconds. */
const COMMAND_DEADLINE_MS = 2_000;
export const CONNECT_DEADLINE_MS = 5_000;
/** Longest wait between two tries to connect, in milliseconds. */
const RECONNECT_MS = 1_000;
/** How often the map of a Redis Cluster's slots is read, in milliseconds: a node that stands still does not say that it was replaced. */
const MAP_INTERVAL_MS = 2_000;
const MAP_DEADLINE_MS = 1_000;
/** Ways a command may be sent until it meets the node of its slot, while slots move. */
const MAX_REDIRECTIONS = 8;
const DEFAULT_PORT = 6_379;
const DEFAULT_SENTINEL_PORT = 26_379;

/** Files of a TLS connection, as PEM. Without `ca` the certificate authorities of Node.js are trusted. */
export interface RedisTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Who a connection is made as. */
interface RedisLogin {
  /** An ACL user. Default: Redis's default user. */
  readonly user?: string;
  readonly password?: string;
  /** Given: connections are made over TLS. */
  readonly tls?: RedisTls;
}

/** One Redis, at a fixed address. */
export interface StandaloneRedis extends RedisLogin {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. `user` and `password`, where given, count instead of those in it. */
  readonly url: string;
}

/** A Redis whose master Sentinel names, and names anew after a failover. */
export interface SentinelRedis extends RedisLogin {
  /** The addresses of Sentinel's processes, as `host:port`; one is enough to learn the others. */
  readonly sentinels: readonly string[];
  /** What Sentinel calls the master. */
  readonly master: string;
  /** Default 0. */
  readonly db?: number;
  /** Who Sentinel is asked as: it does not share its users with Redis. */
  readonly sentinelUser?: string;
  readonly sentinelPassword?: string;
  /** Given: Sentinel is asked over TLS. */
  readonly sentinelTls?: RedisTls;
}

/** A Redis Cluster. */
export interface ClusteredRedis extends RedisLogin {
  /** The addresses of some of its nodes, as `host:port`: the others are learned. */
  readonly cluster: readonly string[];
}

export type RedisAddress = StandaloneRedis | SentinelRedis | ClusteredRedis;

/** Replies come in the shapes of RESP2, which the types of commands promise. */
type ConnectionOptions = Omit<RedisOptions, "replyMapping">;

/** `host:port`, also of an IPv6 address, with or without brackets. */
export function hostAndPort(address: string, defaultPort = DEFAULT_PORT): { host: string; port: number } {
  const bare = address.match(/^\[([^\]]+)\]$/)?.[1];
  if (bare !== undefined) return { host: bare, port: defaultPort };
  const at = address.lastIndexOf(":");
  if (at < 0) return { host: address, port: defaultPort };
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(at + 1)) };
}

/** What holds for each connection, whatever it leads to. */
function commonOptions({ user, password, tls }: RedisLogin, name: string): ConnectionOptions {
  return {
    connectionName: name,
    connectTimeout: CONNECT_DEADLINE_MS,
    commandTimeout: COMMAND_DEADLINE_MS,
    // Nobody may wait without bound for a Redis that is away, and nothing may be done twice behind the caller's back.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Who subscribes must know when messages may have been lost.
    autoResubscribe: false,
    retryStrategy,
    lazyConnect: true,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  };
}

function retryStrategy(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 6), RECONNECT_MS);
}

export function standaloneOptions(address: StandaloneRedis, name: string): ConnectionOptions {
  return commonOptions(address, name);
}

/** The URL as connections are made by it. */
export function standaloneUrl({ url, user, password }: StandaloneRedis): string {
  const whole = new URL(url);
  if (user !== undefined) whole.username = user;
  if (password !== undefined) whole.password = password;
  return whole.href;
}

/** Of one node of a Redis Cluster. */
export function nodeOptions(
  address: ClusteredRedis,
  node: { host: string; port: number },
  name: string,
): ConnectionOptions {
  return { ...commonOptions(address, name), host: node.host, port: node.port };
}

export function sentinelOptions(address: SentinelRedis, name: string): ConnectionOptions {
  const { sentinels, master, db, tls, sentinelUser, sentinelPassword, sentinelTls } = address;
  return {
    ...commonOptions(address, name),
    name: master,
    sentinels: sentinels.map((sentinel) => hostAndPort(sentinel, DEFAULT_SENTINEL_PORT)),
    sentinelRetryStrategy: retryStrategy,
    sentinelCommandTimeout: COMMAND_DEADLINE_MS,
    // A master that was replaced may be there all the same, as a replica. (ioredis's own detector can end a connection for good: it interrupts
    // one that is being made.)
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    enableTLSForSentinelMode: tls !== undefined,
    ...(db === undefined ? {} : { db }),
    ...(sentinelUser === undefined ? {} : { sentinelUsername: sentinelUser }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(sentinelTls === undefined ? {} : { sentinelTLS: { ...sentinelTls } }),
  };
}

export function clusterOptions(address: ClusteredRedis, name: string) {
  return {
    redisOptions: commonOptions(address, name),
    clusterRetryStrategy: retryStrategy,
    lazyConnect: true,
    // For connections that are being made; the rest is BoundedCluster's.
    enableOfflineQueue: true,
    maxRedirections: MAX_REDIRECTIONS,
    // What failed may have been done: its caller decides.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshInterval: MAP_INTERVAL_MS,
    slotsRefreshTimeout: MAP_DEADLINE_MS,
    // The name that was given is the one that certificates are for.
    dnsLookup: (host, answer) => answer(null, host),
  } satisfies ClusterOptions;
}
