// The services that the nodes of a cluster share, and how the nodes reach each other, as options.

import {
  addresses,
  duration,
  integer,
  name,
  oneOf,
  optionalAddress,
  optionalName,
  optionalText,
  port,
  secret,
  secretUrl,
  text,
  toggle,
} from "./option.js";

const LONGEST_RETENTION_MS = 36_500 * 86_400_000;

export const CLUSTER_OPTIONS = {
  clusterName: name(
    "trunkline",
    "Begins the names of the cluster's Kafka topics and of its keys and channels in Redis.",
  ),
  nodeName: optionalName("What this node is called. Not set: the machine's name."),
  clusterSecret: secret("SECRET", "What nodes show each other, the same on all of them; at least 16 characters."),
  clusterSecretFile: optionalText("FILE", "A file with that secret, in place of the variable."),
  peerHost: text("HOST", "127.0.0.1", "The address to listen on for other nodes. 0.0.0.0: every interface."),
  peerPort: port(9095, "The port for other nodes. 0: any free one."),
  peerAddress: optionalAddress(
    "Where other nodes reach this one. Not set: the address it listens on, which must be one they can reach.",
  ),
  peerTlsCert: optionalText(
    "FILE",
    "This node's certificate towards other nodes, PEM, for both directions. Turns TLS on, together with its key and peerTlsCa.",
  ),
  peerTlsKey: optionalText("FILE", "The private key of that certificate, PEM."),
  peerTlsCa: optionalText(
    "FILE",
    "The authority that signs the nodes' certificates, PEM: nodes show them to each other.",
  ),
  peerInsecure: toggle(
    false,
    "Do without TLS although nodes are on several machines. The secret and all messages can be read on the way.",
  ),
  startDeadline: duration(30_000, 0, "When starting: how long Redis, Kafka and MongoDB are waited for, each."),
  allowUnsafe: toggle(
    false,
    "Take settings of Kafka, Redis and MongoDB under which acknowledged events can be lost, like one replica. For development.",
  ),
  redisUrl: secretUrl("URL", "redis://[USER:PASSWORD@]HOST:PORT[/DB], or rediss:// for TLS."),
  redisPasswordFile: optionalText("FILE", "A file with Redis's password, in place of the one in the URL."),
  redisSentinels: addresses(
    "With Sentinel: its processes. The URL then says user, password and DB only, and redisMaster is needed.",
  ),
  redisMaster: optionalText("NAME", "With Sentinel: the name of the master."),
  redisSentinelUser: optionalText("USER", "With Sentinel: who it is asked as. Not set: its default user."),
  redisSentinelPassword: secret("PASSWORD", "With Sentinel: its own password, which is not Redis's."),
  redisSentinelPasswordFile: optionalText("FILE", "A file with that password, in place of the variable."),
  redisSentinelTls: toggle(false, "With Sentinel: ask it over TLS, with the same certificates as Redis."),
  redisCluster: addresses(
    "With Redis Cluster: some of its nodes; the others are learned. The URL then says user and password only.",
  ),
  redisCa: optionalText("FILE", "Who may have signed Redis's certificate, PEM. Not set: the machine's authorities."),
  redisClientCert: optionalText("FILE", "This process's certificate towards Redis (mTLS), PEM. Needs its key too."),
  redisClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
  kafkaBrokers: addresses("Some brokers of Kafka; the others are learned from them."),
  kafkaInsecure: toggle(
    false,
    "Do without TLS although brokers are on other machines. Messages can be read on the way.",
  ),
  kafkaCa: optionalText(
    "FILE",
    "Who may have signed the brokers' certificates, PEM. Not set: the machine's authorities.",
  ),
  kafkaClientCert: optionalText("FILE", "This process's certificate towards Kafka (mTLS), PEM. Needs its key too."),
  kafkaClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
  kafkaSasl: oneOf(
    ["none", "plain", "scram-sha-256", "scram-sha-512"],
    "none",
    "How this process says who it is to Kafka.",
  ),
  kafkaUser: optionalText("USER", "With SASL: who it is."),
  kafkaPassword: secret("PASSWORD", "With SASL: the password."),
  kafkaPasswordFile: optionalText("FILE", "A file with that password, in place of the variable."),
  kafkaReplication: integer(
    "N",
    3,
    1,
    100,
    "Brokers that keep each partition, where a topic is made. Fewer than 3 need allowUnsafe.",
  ),
  kafkaPartitions: integer(
    "N",
    16,
    1,
    1_000,
    "Partitions of the topics for commands, dead letters and notifications, where they are made. The log's has as many as there are shards.",
  ),
  kafkaRetention: duration(
    7 * 86_400_000,
    60_000,
    "How long a topic keeps records, where it is made: far longer than MongoDB may ever be away.",
    LONGEST_RETENTION_MS,
  ),
  kafkaCompression: oneOf(
    ["none", "gzip", "zstd"],
    "none",
    "How what is written to Kafka is compressed: half to a quarter of the bytes where much is said at once. Nodes read all of them; zstd needs Node 22.15 on each.",
  ),
  inbound: toggle(
    false,
    "Let other services publish by the topic CLUSTER.inbound. Whoever may write to it acts as any service of any tenant.",
  ),
  mongodbUrl: secretUrl("URL", "mongodb://… or mongodb+srv://…, with whatever the driver understands."),
  mongodbDatabase: text("NAME", "trunkline", "The database of the archive."),
  mongodbPasswordFile: optionalText("FILE", "A file with MongoDB's password, in place of the one in the URL."),
  mongodbCa: optionalText("FILE", "Who may have signed MongoDB's certificate, PEM. Turns TLS on."),
  mongodbClientCert: optionalText(
    "FILE",
    "This process's certificate towards MongoDB, PEM. Needs its key too. Turns TLS on.",
  ),
  mongodbClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
};
