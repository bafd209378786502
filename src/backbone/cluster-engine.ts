// A node of a cluster: Kafka keeps the log, MongoDB the archive, Redis who is where, and the nodes ask each other.

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { ReplyError } from "ioredis";
import { MongoParseError } from "mongodb";
import { RedisSessionDirectory } from "../adapters/cluster/directory/redis-session-directory.js";
import { GrpcPeers } from "../adapters/cluster/grpc-peers.js";
import { parseBroker } from "../adapters/cluster/kafka/options.js";
import { TopicError } from "../adapters/cluster/kafka/topic.js";
import { connectMongo, mongoHosts } from "../adapters/cluster/mongo.js";
import { MongoArchive } from "../adapters/cluster/mongo-archive.js";
import { MongoOutletStore } from "../adapters/cluster/mongo-outlet-store.js";
import { openNotifications } from "../adapters/cluster/notifications.js";
import { openEventLog } from "../adapters/cluster/open-event-log.js";
import { LeasePlacement } from "../adapters/cluster/placement/lease-placement.js";
import { RedisLeases } from "../adapters/cluster/placement/redis-leases.js";
import { connectRedis, type RedisCommands, RedisProbe, redisHosts } from "../adapters/cluster/redis.js";
import { RedisChannels } from "../adapters/cluster/redis-channels.js";
import { checkRedis, RedisUnfit } from "../adapters/cluster/redis-check.js";
import { RedisFanout } from "../adapters/cluster/redis-fanout.js";
import { RedisRateShares } from "../adapters/cluster/redis-rate-shares.js";
import { RedisTenantSessions } from "../adapters/cluster/redis-tenant-sessions.js";
import { refusalOf } from "../adapters/cluster/refusal.js";
import { longestTailBytes } from "../core/limit/limits.js";
import { shardOf } from "../core/room/position.js";
import type { Telemetry } from "../core/telemetry.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";
import { FEATURE_LEVEL } from "../ports/event-level.js";
import type { PeerHandler } from "../ports/peers.js";
import { type PeerServer, startPeerServer } from "../transport/grpc/peer-server.js";
import { inboundOf } from "./cluster-inbound.js";
import { ClusterNews } from "./cluster-news.js";
import { type ClusterOptions, LEAST_SECRET, type PeerOptions } from "./cluster-options.js";
import { Dependencies } from "./dependencies.js";
import { awaitDependency, type DependencyWait } from "./dependency.js";
import type { Engine, EngineContext } from "./engine.js";
import { peerAddress } from "./peer-address.js";
import { isShut, standingOf } from "./standing.js";

const DEFAULT_NAME = "trunkline";
const DEFAULT_SHARDS = 64;
const DEFAULT_PEER_HOST = "127.0.0.1";
const DEFAULT_PEER_PORT = 9095;
const DEFAULT_START_DEADLINE_MS = 30_000;
const NODE_NAME = /^[A-Za-z0-9._-]{1,64}$/;
const INCARNATION_BYTES = 6;
/** By then the leases of a node of the same name that is gone are over, in milliseconds; one that has some still is another. */
const FORMER_MS = 6_000;
/** A batch holds four of the longest frames: whatever one command makes fits. */
const FRAMES_PER_BATCH = 4;

/**
 * Rejects with an Error for an operator: a service is not there in time, or does not fit, or a setting does not. What was opened by then is
 * among the context's parts.
 */
export async function openClusterEngine(
  options: ClusterOptions & { readonly shards?: number | undefined },
  context: EngineContext,
): Promise<Engine> {
  const { clock, limits, telemetry, logger, parts } = context;
  const { name = DEFAULT_NAME, nodeName = machineName(), shards = DEFAULT_SHARDS, allowUnsafe = false } = options;
  const { startDeadlineMs: deadlineMs = DEFAULT_START_DEADLINE_MS } = options;
  if (!NODE_NAME.test(nodeName)) throw new Error(`${nodeName} is no name for a node: letters, digits, -, _ and .`);
  if (options.peers.secret.length < LEAST_SECRET) {
    throw new Error(`the cluster's secret is to have ${LEAST_SECRET} characters at least`);
  }
  // A node that comes back is another: what it had before is nobody's.
  const nodeId = `${nodeName}.${randomBytes(INCARNATION_BYTES).toString("hex")}`;
  let probe: RedisProbe | undefined;
  const onFault = (what: string, cause: unknown) => redisFault(telemetry, what, probe?.explain(cause) ?? cause);
  const wait: DependencyWait = { clock, logger, deadlineMs, isFinal, aborted: context.startAborted };

  let answer: PeerHandler = notYet;
  const peerServer = await servePeers(options.peers, (question) => answer(question), context);
  const address = peerAddress({
    host: peerServer.address,
    port: peerServer.port,
    stated: options.peers.address,
    services: [
      ...redisHosts(options.redis),
      ...options.kafka.brokers.map((broker) => parseBroker(broker).host),
      ...mongoHosts(options.mongo.url),
    ],
  });

  const connect = async (purpose: string): Promise<RedisCommands> => {
    const redis = await awaitDependency("Redis", wait, () =>
      connectRedis(options.redis, {
        name: `${name}:${nodeName}:${purpose}`,
        onError: (cause) => logger.debug({ err: cause, purpose }, "a connection to Redis has failed"),
      }),
    );
    parts.add(`Redis (${purpose})`, () => redis.disconnect());
    return redis;
  };
  const redis = await connect("commands");
  const redisProbe = new RedisProbe(redis);
  probe = redisProbe;
  await awaitDependency("Redis", wait, () => checkRedis(redis, allowUnsafe));
  // What is published must not hold up the leases.
  const publisher = await connect("publish");
  const channels = await awaitDependency("Redis", wait, () =>
    RedisChannels.open({
      address: options.redis,
      commands: publisher,
      clock,
      nodeId,
      prefix: name,
      name: `${name}:${nodeName}:subscribe`,
      onFault,
    }),
  );
  parts.add("Redis (subscribe)", () => channels.stop());

  const mongo = await awaitDependency("MongoDB", wait, () => connectMongo({ ...options.mongo, shards }));
  parts.add("MongoDB", () => mongo.close());
  if (mongo.isAlone && !allowUnsafe) {
    throw new Error("MongoDB: is a single server, not a replica set (allowUnsafe takes it, for development)");
  }
  const archive = new MongoArchive(mongo.collections, ({ room: { tenantId, roomId }, ...refusal }) =>
    telemetry.emit("archive.refused", { ...refusal, tenantId, roomId }),
  );

  const topics = { ...options.kafka, topicPrefix: name, allowUnsafe };
  const log = await awaitDependency("Kafka", wait, () =>
    openEventLog({
      ...topics,
      shards,
      node: nodeId,
      archived: (shard) => archive.archived(shard),
      clock,
      maxTailBytes: longestTailBytes(limits),
    }),
  );
  parts.add("Kafka", () => log.close());
  if (limits.maxFrameBytes * FRAMES_PER_BATCH >= log.maxBatchBytes) {
    throw new Error(
      `maxFrameBytes: ${limits.maxFrameBytes} is too long for the topic, whose batches hold ${log.maxBatchBytes} bytes: it is to be less than a quarter of that`,
    );
  }

  const notifications = context.notifies
    ? await awaitDependency("Kafka", wait, () => openNotifications({ ...topics, clock }))
    : undefined;
  if (notifications !== undefined) parts.add("notifications", () => notifications.close());

  const fanout = new RedisFanout({
    publisher,
    channels,
    nodeId,
    prefix: name,
    shardOf: (room) => shardOf(room.key, shards),
    onFault,
  });
  parts.add("fan-out", () => fanout.stop());
  const dependencies = new Dependencies(clock, telemetry);
  parts.add("dependencies", () => dependencies.stop());
  let news: ClusterNews | undefined;
  const unreached = () => news?.unreached ?? [];
  const vitals = () => {
    return {
      sessions: context.sessions(),
      load: context.load(),
      unreached: unreached().map(({ node }) => node.nodeId),
    };
  };
  const placement = new LeasePlacement({
    leases: new RedisLeases({ redis, channels, prefix: name, vitals }),
    clock,
    nodeId,
    address,
    shards,
    able: () => !dependencies.isAway("kafka"),
    level: FEATURE_LEVEL,
    onReturned: () => telemetry.emit("node.returned", {}),
    onFault,
  });
  const turned = telemetry.on("dependency.turned", ({ dependency }) => {
    if (dependency === "kafka") placement.turned();
  });
  parts.add("placement", turned);
  news = new ClusterNews(placement, logger, clock, telemetry);
  parts.add("cluster news", () => news?.stop());
  const peers = new GrpcPeers({
    placement,
    clock,
    tls: options.peers.clientTls,
    secret: options.peers.secret,
    onTurn: (node, away) => news?.turned(node, away),
  });
  parts.add("peers", () => peers.stop());
  const directory = new RedisSessionDirectory({
    redis,
    channels,
    archive,
    clock,
    placement,
    prefix: name,
    graceMs: limits.presenceGraceMs,
    onFault: (cause) => onFault("directory", cause),
  });
  parts.add("directory", () => directory.stop());
  await awaitDependency("Redis", wait, () => directory.start());

  dependencies.watch("redis", () => redisProbe.ask());
  dependencies.watch("mongodb", () => mongo.probe());
  let probed = 0;
  dependencies.watch("kafka", async () => {
    await log.probe(probed);
    // The one that fails is asked again: its leader is what is away.
    probed = (probed + 1) % shards;
  });
  const cameMs = clock.monotonic();
  /** Whether a node is what this one was before, which may be gone though its leases are not over. */
  const isFormer = (id: string) => id !== nodeId && id.slice(0, id.lastIndexOf(".")) === nodeName;
  const isOwned = (shard: number): boolean => {
    const owner = placement.ownerOf(shard);
    if (owner === undefined) return false;
    return clock.monotonic() - cameMs > FORMER_MS || !isFormer(owner.nodeId);
  };
  let openSinceMs = clock.monotonic();
  let settled = false;

  return {
    log,
    archive,
    fanout,
    directory,
    outlets: new MongoOutletStore(mongo.collections),
    notifications,
    cluster: {
      placement,
      peers,
      rateShares: new RedisRateShares({ redis, nodeId, prefix: name }),
      tenantSessions: new RedisTenantSessions({ redis, nodeId, prefix: name }),
    },
    node: { id: nodeId, address },
    answerWith: (handler) => {
      answer = handler;
    },
    openInbound: options.inbound === true ? inboundOf(topics, context, wait) : undefined,
    standing: (own) => {
      if (!own.some(isShut)) openSinceMs = clock.monotonic();
      const unowned = own.filter(({ shard }) => !isOwned(shard)).length;
      settled ||= unowned === 0 && !own.some(isShut);
      return standingOf({
        dependencies: dependencies.states,
        hears: channels.available,
        known: placement.known,
        tooNew: placement.tooNew,
        shards: own,
        unowned,
        unreached: unreached().map(({ node: { address }, reason }) => ({ address, reason })),
        settled,
        notOpenMs: clock.monotonic() - openSinceMs,
      });
    },
    backup: () => Promise.reject(new Error("a cluster keeps nothing in files of its own: back up MongoDB and Kafka")),
  };
}

/** Listening before the cluster hears of this node. */
async function servePeers(
  { host = DEFAULT_PEER_HOST, port = DEFAULT_PEER_PORT, secret, serverTls }: PeerOptions,
  handler: PeerHandler,
  { clock, telemetry, parts }: EngineContext,
): Promise<PeerServer> {
  const server = await startPeerServer({ handler, secret, host, port, tls: serverTls, telemetry, clock });
  parts.add("peer server", (leftMs) => server.close(leftMs));
  return server;
}

const notYet: PeerHandler = async () => {
  throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node is starting", { retryAfterMs: 500 });
};

/** What a Redis that is away brings about is told as that: it is no fault of this node. */
function redisFault(telemetry: Telemetry, what: string, cause: unknown): void {
  const isOwn = cause instanceof ReplyError || cause instanceof TypeError || cause instanceof RangeError;
  if (isOwn || what === "receive") telemetry.emit("fault", { where: `redis: ${what}`, cause });
  else telemetry.emit("dependency.failed", { dependency: "redis", what, cause });
}

/** What does not mend itself by waiting. */
function isFinal(cause: unknown): boolean {
  const isUnfit = [TopicError, RedisUnfit, MongoParseError, RangeError].some((kind) => cause instanceof kind);
  return isUnfit || refusalOf(cause) !== undefined;
}

function machineName(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, "-")
      .slice(0, 64) || "node"
  );
}
