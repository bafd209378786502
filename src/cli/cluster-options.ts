// From the configuration to what a node of a cluster is started with: reads the files that it names.

import { X509Certificate } from "node:crypto";
import type { ClusterOptions, PeerOptions } from "../backbone/cluster-options.js";
import { LEAST_SECRET } from "../backbone/cluster-options.js";
import { flagName, variableName } from "../ops/config/names.js";
import type { Config, OptionKey } from "../ops/config/options.js";
import { isLoopback } from "../rpc/tls.js";
import { clientTls } from "./client-tls.js";
import { CommandError } from "./exit-code.js";
import { type FileOption, readPair, readPem, readSecret } from "./pem.js";

/** Throws CommandError for what is missing or does not fit. */
export function clusterOptions(config: Config): ClusterOptions {
  if (config.retention !== 0) {
    throw new CommandError(
      `--${flagName("retention")} is of the embedded store: a cluster keeps events for ever (--${flagName("kafkaRetention")} is of the log alone)`,
    );
  }
  return {
    name: config.clusterName,
    ...(config.nodeName !== undefined && { nodeName: config.nodeName }),
    redis: redisOptions(config),
    kafka: kafkaOptions(config),
    inbound: config.inbound,
    mongo: mongoOptions(config),
    peers: peerOptions(config),
    allowUnsafe: config.allowUnsafe,
    startDeadlineMs: config.startDeadline,
  };
}

/** Throws CommandError for what is missing or does not fit. */
export function redisOptions(config: Config): ClusterOptions["redis"] {
  const url = withPassword(config, "redisUrl", "redisPasswordFile", /^rediss?:$/);
  const { redisSentinels: sentinels, redisMaster: master, redisCluster: cluster } = config;
  if (sentinels.length > 0 !== (master !== undefined)) {
    throw new CommandError(`--${flagName("redisSentinels")} and --${flagName("redisMaster")} go together`);
  }
  if (sentinels.length > 0 && cluster.length > 0) {
    throw new CommandError(`--${flagName("redisSentinels")} and --${flagName("redisCluster")} exclude each other`);
  }
  const ca = readPem(config, "redisCa");
  const pair = readPair(config, "redisClientCert", "redisClientKey");
  const files = { ...(ca && { ca: text(ca) }), ...(pair && { cert: text(pair.cert), key: text(pair.key) }) };
  const isSecured = Object.keys(files).length > 0 || url.startsWith("rediss:");
  const tls = isSecured ? { tls: files } : {};
  if (master === undefined && cluster.length === 0) return { url, ...tls };
  const { username, password, pathname } = new URL(url);
  const login = {
    ...(username !== "" && { user: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    ...tls,
  };
  if (master === undefined) return { cluster, ...login };
  const sentinelPassword = readSecret(config, "redisSentinelPasswordFile") ?? config.redisSentinelPassword;
  return {
    sentinels,
    master,
    ...login,
    ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
    ...(config.redisSentinelUser !== undefined && { sentinelUser: config.redisSentinelUser }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(config.redisSentinelTls && { sentinelTls: files }),
  };
}

/** Throws CommandError for what is missing or does not fit. */
export function kafkaOptions(config: Config): ClusterOptions["kafka"] {
  if (config.kafkaBrokers.length === 0) throw missing("kafkaBrokers");
  const tls = clientTls(config, "kafka");
  const connection = {
    brokers: config.kafkaBrokers,
    replication: config.kafkaReplication,
    retentionMs: config.kafkaRetention,
    partitions: config.kafkaPartitions,
    compression: config.kafkaCompression,
    ...(tls && { tls }),
  };
  const mechanism = config.kafkaSasl;
  if (mechanism === "none") return connection;
  const username = config.kafkaUser;
  const password = secretOf(config, "kafkaPassword", "kafkaPasswordFile");
  if (username === undefined) throw missing("kafkaUser");
  return { ...connection, sasl: { mechanism, username, password } };
}

/** Throws CommandError for what is missing or does not fit. */
export function mongoOptions(config: Config): ClusterOptions["mongo"] {
  const url = withPassword(config, "mongodbUrl", "mongodbPasswordFile", /^mongodb(\+srv)?:$/);
  const ca = readPem(config, "mongodbCa");
  const pair = readPair(config, "mongodbClientCert", "mongodbClientKey");
  const tls = { ...(ca && { ca }), ...(pair && { cert: pair.cert, key: pair.key }) };
  return { url, database: config.mongodbDatabase, ...(Object.keys(tls).length > 0 && { tls }) };
}

function peerOptions(config: Config): PeerOptions {
  const pair = readPair(config, "peerTlsCert", "peerTlsKey");
  // Nobody would say why the nodes do not reach each other.
  if (pair !== undefined) requireCurrent(pair.cert, "peerTlsCert");
  const ca = readPem(config, "peerTlsCa");
  if ((pair === undefined) !== (ca === undefined)) {
    throw new CommandError(`--${flagName("peerTlsCert")} and --${flagName("peerTlsCa")} go together`);
  }
  if (pair === undefined && !config.peerInsecure && !isLoopback(config.peerHost)) {
    const tls = (["peerTlsCert", "peerTlsKey", "peerTlsCa"] as const).map((key) => `--${flagName(key)}`);
    throw new CommandError(
      `--${flagName("peerHost")} ${config.peerHost} can be reached from other machines: give ${tls.join(", ")}, or --${flagName("peerInsecure")}`,
    );
  }
  const protection =
    pair !== undefined && ca !== undefined
      ? {
          serverTls: { certificate: pair.cert, key: pair.key, clientCa: ca },
          clientTls: { ca, identity: { certificate: pair.cert, key: pair.key } },
        }
      : config.peerInsecure
        ? { serverTls: "plain" as const, clientTls: "plain" as const }
        : {};
  return {
    host: config.peerHost,
    port: config.peerPort,
    ...(config.peerAddress !== undefined && { address: config.peerAddress }),
    secret: clusterSecret(config),
    ...protection,
  };
}

function clusterSecret(config: Config): string {
  const secret = secretOf(config, "clusterSecret", "clusterSecretFile");
  if (secret.length >= LEAST_SECRET) return secret;
  const file = config.clusterSecretFile !== undefined;
  const origin = file ? `--${flagName("clusterSecretFile")}` : variableName("clusterSecret");
  throw new CommandError(`${origin}: must have at least ${LEAST_SECRET} characters`);
}

/** What is no certificate is refused where it is used. */
function requireCurrent(pem: Buffer, key: FileOption): void {
  if (!pem.includes("BEGIN CERTIFICATE")) return;
  const { validFromDate: from, validToDate: to } = new X509Certificate(pem);
  const now = new Date();
  if (from <= now && now <= to) return;
  throw new CommandError(
    `--${flagName(key)}: the certificate is valid from ${from.toISOString()} to ${to.toISOString()} only`,
  );
}

type SecretOption = "clusterSecret" | "kafkaPassword";

function secretOf(config: Config, key: SecretOption, file: FileOption): string {
  const value = readSecret(config, file) ?? config[key];
  if (value === undefined) {
    throw new CommandError(`trunkline needs ${variableName(key)} or --${flagName(file)} with the engine cluster`);
  }
  return value;
}

/** A URL whose password may lie in a file of its own. */
function withPassword(config: Config, key: "redisUrl" | "mongodbUrl", file: FileOption, scheme: RegExp): string {
  const url = config[key];
  if (url === undefined) throw missing(key);
  if (!scheme.test(/^[^/]*/.exec(url)?.[0] ?? "")) {
    throw new CommandError(`${variableName(key)}: must begin with ${key === "redisUrl" ? "redis://" : "mongodb://"}`);
  }
  const password = readSecret(config, file);
  if (password === undefined) return checked(url, key);
  // Not by URL, which does not know several hosts.
  const [, begin = "", user = "", rest = ""] = /^([^/]*\/\/)(?:([^:@/]*)(?::[^@/]*)?@)?(.*)$/.exec(url) ?? [];
  return checked(`${begin}${user}:${encodeURIComponent(password)}@${rest}`, key);
}

/** The driver reads MongoDB's, which may name several hosts. Redis's is one as any other. */
function checked(url: string, key: "redisUrl" | "mongodbUrl"): string {
  if (key === "redisUrl" && !URL.canParse(url)) {
    throw new CommandError(`${variableName(key)}: is no URL; in a password, write %2F for / and %40 for @`);
  }
  return url;
}

function missing(key: OptionKey): CommandError {
  return new CommandError(`trunkline needs ${variableName(key)} for a cluster`);
}

function text(pem: Buffer): string {
  return pem.toString("utf8");
}
