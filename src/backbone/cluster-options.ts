// What a node of a cluster is started with.

import type { Compression } from "../adapters/cluster/kafka/compression.js";
import type { KafkaConnectionOptions } from "../adapters/cluster/kafka/options.js";
import type { MongoOptions } from "../adapters/cluster/mongo.js";
import type { RedisAddress } from "../adapters/cluster/redis-address.js";
import type { ClientTls, ServerTls } from "../rpc/tls.js";

/** Characters of the cluster's secret, at least: whoever guesses it may say anything in anybody's name. */
export const LEAST_SECRET = 16;

export interface ClusterOptions {
  /** Begins the names of the cluster's Kafka topics and of its keys and channels in Redis. Default "trunkline". */
  readonly name?: string;
  /** What the node is called: a word of letters, digits, `-`, `_` and `.`. Default: the machine's name. */
  readonly nodeName?: string;
  readonly redis: RedisAddress;
  readonly kafka: KafkaConnectionOptions & {
    /** Brokers that keep each partition, where a topic is made. Default 3. */
    readonly replication?: number;
    /** How long a topic keeps records, where it is made, in milliseconds. Default 7 days. */
    readonly retentionMs?: number;
    /** Partitions of the topics beside the log's, where they are made. Default 16. */
    readonly partitions?: number;
    /** How what is written is compressed; nodes read all of them, whatever they write. Default "none". */
    readonly compression?: Compression;
  };
  readonly mongo: Omit<MongoOptions, "shards">;
  /** Whether other services publish by Kafka: whoever may write to the topic acts as any service of any tenant. Default false. */
  readonly inbound?: boolean;
  readonly peers: PeerOptions;
  /** Takes settings of the services under which what was acknowledged can be lost. Default false. */
  readonly allowUnsafe?: boolean;
  /** How long each service is waited for at the start, in milliseconds. Default 30,000. */
  readonly startDeadlineMs?: number;
}

/** How the nodes of a cluster reach each other. */
export interface PeerOptions {
  /** Default 127.0.0.1: nodes on this machine only. */
  readonly host?: string;
  /** Default 9095; 0: any free one. */
  readonly port?: number;
  /** Where other nodes reach this one, as `host:port`. Default: the address it listens on. */
  readonly address?: string;
  /** What nodes show each other, at least 16 characters, the same on all of them. */
  readonly secret: string;
  /** How the listener is protected. Default: plain, on loopback only. */
  readonly serverTls?: ServerTls;
  /** How connections to other nodes are protected. Default: plain to loopback, else TLS with the system's roots. */
  readonly clientTls?: ClientTls;
}
