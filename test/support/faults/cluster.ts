// A cluster on this machine every way of which can be made to fail: services of its own, nodes in processes of their own, and a proxy on
// each way between them.

import type { Endpoints } from "../client/index.js";
import { TestCluster, type TestNode } from "../cluster/test-cluster.js";
import { LINK_SECRET, TestEdge } from "../edge.js";
import { type RunningKafka, startKafka } from "../services/kafka.js";
import { type RunningMongo, startMongo } from "../services/mongo.js";
import { lastingPort } from "../services/process.js";
import { type RunningRedis, startRedis } from "../services/redis.js";
import type { TokenIssuer } from "../token.js";
import { TcpProxy } from "./tcp-proxy.js";

export interface FaultyClusterOptions {
  /** Default 3. */
  readonly nodes?: number;
  /** Bridges in processes of their own, each linked to one of the nodes. Default 2. */
  readonly edges?: number;
  /** Default 12. */
  readonly shards?: number;
  /** TRUNKLINE_… variables of all nodes. */
  readonly environment?: { readonly [name: string]: string };
}

/** Few events are replayed in-band, so that gaps are named and paged too. */
const RECOVERY_LIMIT = 20;
const DEFAULT_NODES = 3;
const DEFAULT_EDGES = 2;
const DEFAULT_SHARDS = 12;

/** The ways from a node to what it needs, and to it from other nodes. */
export interface Ways {
  readonly redis: TcpProxy;
  readonly kafka: TcpProxy;
  readonly mongo: TcpProxy;
  readonly peer: TcpProxy;
}

export interface FaultyNode {
  readonly name: string;
  readonly server: TestNode;
  readonly ways: Ways;
}

interface Services {
  readonly kafka: RunningKafka;
  readonly redis: RunningRedis;
  /** A second master: nobody's, until some are led to it. */
  readonly otherRedis: RunningRedis;
  readonly mongo: RunningMongo;
}

export class FaultyCluster implements Services {
  readonly kafka: RunningKafka;
  readonly redis: RunningRedis;
  readonly otherRedis: RunningRedis;
  readonly mongo: RunningMongo;
  readonly nodes: readonly FaultyNode[];
  /** Bridges of their own. */
  readonly edges: TestEdge[] = [];
  readonly #cluster: TestCluster;

  private constructor(services: Services, nodes: readonly FaultyNode[], cluster: TestCluster) {
    this.kafka = services.kafka;
    this.redis = services.redis;
    this.otherRedis = services.otherRedis;
    this.mongo = services.mongo;
    this.nodes = nodes;
    this.#cluster = cluster;
  }

  /** Undefined: this machine lacks what the services need. */
  static async start(options: FaultyClusterOptions = {}): Promise<FaultyCluster | undefined> {
    const { nodes: count = DEFAULT_NODES } = options;
    const ways = await Promise.all(Array.from({ length: count }, openWays));
    const [kafka, redis, otherRedis, mongo] = await Promise.all([
      startKafka({ advertised: ways.map((way) => way.kafka.address) }),
      startRedis(),
      startRedis(),
      startMongo(),
    ]);
    if (kafka === undefined || redis === undefined || otherRedis === undefined || mongo === undefined) {
      await Promise.all([kafka, redis, otherRedis, mongo].map((service) => service?.stop()));
      await Promise.all(ways.map(closeWays));
      return undefined;
    }
    const services = { kafka, redis, otherRedis, mongo };
    const { shards = DEFAULT_SHARDS, environment = {} } = options;
    const addresses = { redis: redis.url, kafka: kafka.url, mongo: mongo.url };
    const cluster = new TestCluster({
      services: addresses,
      shards,
      environment: {
        TRUNKLINE_RECOVERY_LIMIT: `${RECOVERY_LIMIT}`,
        TRUNKLINE_LINK_SECRET: LINK_SECRET,
        ...environment,
      },
    });
    const nodes = await Promise.all(ways.map((way, index) => node(cluster, way, index, services)));
    const faulty = new FaultyCluster(services, nodes, cluster);
    try {
      // The first makes the key that all of them sign tokens with, and the topic.
      const [first, ...others] = nodes;
      await first?.server.start();
      await Promise.all(others.map(({ server }) => server.start()));
      const servers = nodes.map(({ server }) => server);
      const { edges = DEFAULT_EDGES } = options;
      for (let index = 0; index < edges; index++) faulty.edges.push(new TestEdge(servers));
      await Promise.all(faulty.edges.map((edge) => edge.start()));
    } catch (error) {
      await faulty.stop();
      throw error;
    }
    return faulty;
  }

  /** Of tokens that every node takes. */
  get issuer(): TokenIssuer {
    return this.#cluster.issuer;
  }

  /** Where clients may go: to nodes, and to bridges; what the fallback sends at one bridge goes to the next. */
  get endpoints(): readonly Endpoints[] {
    const nodes = this.nodes.map(({ server }) => server.endpoints);
    const edges = this.edges.map((edge, index) => ({
      ...edge.with(this.edges[(index + 1) % this.edges.length] ?? edge),
      // There is no gRPC for clients at a bridge.
      grpc: nodes[index % nodes.length]?.grpc ?? "",
    }));
    return [...nodes, ...edges];
  }

  get topic(): string {
    return `${this.#cluster.name}.events`;
  }

  get database(): string {
    return this.#cluster.name;
  }

  async stop(): Promise<void> {
    await Promise.all(this.edges.map((edge) => edge.dispose()));
    await this.#cluster.dispose();
    await Promise.all(this.nodes.map(({ ways }) => closeWays(ways)));
    await Promise.all([this.kafka, this.redis, this.otherRedis, this.mongo].map((service) => service.stop()));
  }
}

async function openWays(): Promise<Ways> {
  const [redis, kafka, mongo, peer] = await Promise.all([
    // Connections of subscribers, by the first thing they ask for.
    TcpProxy.to("", { marks: (bytes) => /ssubscribe/i.test(bytes.toString("latin1")) }),
    TcpProxy.to(),
    TcpProxy.to(),
    TcpProxy.to(),
  ]);
  return { redis, kafka, mongo, peer };
}

async function closeWays(ways: Ways): Promise<void> {
  await Promise.all(Object.values(ways).map((way) => way.close()));
}

async function node(cluster: TestCluster, ways: Ways, index: number, services: Services): Promise<FaultyNode> {
  const name = `node-${index + 1}`;
  const peerPort = await lastingPort();
  ways.redis.leadTo(services.redis.address);
  ways.kafka.leadTo(services.kafka.listeners[index] ?? "");
  ways.mongo.leadTo(new URL(services.mongo.url).host);
  ways.peer.leadTo(`127.0.0.1:${peerPort}`);
  const server = cluster.node(name, {
    services: {
      redis: `redis://${ways.redis.address}`,
      kafka: ways.kafka.address,
      mongo: `mongodb://${ways.mongo.address}/?directConnection=true`,
    },
    environment: { TRUNKLINE_PEER_PORT: `${peerPort}`, TRUNKLINE_PEER_ADDRESS: ways.peer.address },
  });
  return { name, server, ways };
}
