// Connections to Redis. Nothing waits for a Redis that is away: commands fail at once, or after a deadline.

import { type CommonRedisOptions, Redis, type RedisOptions } from "ioredis";
import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** Longest wait for a command's answer, in milliseconds. */
const COMMAND_DEADLINE_MS = 2_000;
const CONNECT_DEADLINE_MS = 5_000;
/** Longest wait between two tries to connect, in milliseconds. */
const RECONNECT_MS = 1_000;

export interface RedisAddress {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. */
  readonly url: string;
  /** With Sentinel: the addresses of its processes as `host:port`, and the name of the master. The URL then names user, password and db only. */
  readonly sentinels?: readonly string[];
  readonly master?: string;
  /** Files of a TLS connection, as PEM. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface RedisConnectionOptions extends RedisAddress {
  /** What the connection is for, as CLIENT LIST shows it. */
  readonly name: string;
  /** Longest wait for the first connection, in milliseconds. Default 5,000. */
  readonly deadlineMs?: number;
  /** The connection has failed; it is made again by itself. */
  readonly onError: (error: Error) => void;
}

/** The hosts that an address names. */
export function redisHosts({ url, sentinels }: RedisAddress): readonly string[] {
  const hosts = sentinels?.map((address) => address.slice(0, Math.max(address.lastIndexOf(":"), 0)));
  return (hosts ?? [new URL(url).hostname]).map((host) => host.replaceAll(/[[\]]/g, ""));
}

/** Resolves once the connection is ready; rejects with UNAVAILABLE where it is not in time, and gives up. */
export async function connectRedis(options: RedisConnectionOptions): Promise<Redis> {
  const redis = createRedis(options);
  redis.on("error", options.onError);
  const ready = Promise.withResolvers<void>();
  let last: unknown;
  const failed = (error: unknown): void => {
    last = error;
  };
  redis.once("ready", ready.resolve);
  redis.on("error", failed);
  const timer = setTimeout(() => ready.reject(last), options.deadlineMs ?? CONNECT_DEADLINE_MS);
  try {
    redis.connect().catch(failed);
    await ready.promise;
    return redis;
  } catch (cause) {
    redis.disconnect();
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "Redis is not reachable", { cause });
  } finally {
    clearTimeout(timer);
    redis.off("error", failed);
  }
}

function createRedis({ url, sentinels, master, tls, name }: RedisConnectionOptions): Redis {
  const common: CommonRedisOptions = {
    connectionName: name,
    connectTimeout: CONNECT_DEADLINE_MS,
    commandTimeout: COMMAND_DEADLINE_MS,
    // Nobody may wait without bound for a Redis that is away, and nothing may be done twice behind the caller's back.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Who subscribes must know when messages may have been lost.
    autoResubscribe: false,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), RECONNECT_MS),
    ...(tls === undefined ? {} : { tls }),
  };
  const options: RedisOptions = { ...common, lazyConnect: true };
  if (sentinels === undefined || master === undefined) return new Redis(url, options);
  const { username, password, pathname } = new URL(url);
  return new Redis({
    ...options,
    name: master,
    sentinels: sentinels.map((address) => {
      const at = address.lastIndexOf(":");
      return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    }),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 ? { db: Number(pathname.slice(1)) } : {}),
  });
}
