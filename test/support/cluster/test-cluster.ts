// A cluster of real nodes, each a process of its own: started, killed, stopped, paused, started again; more may join.

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Endpoints } from "../client/index.js";
import { TestServer } from "../server.js";
import type { TokenIssuer } from "../token.js";
import type { ClusterServices } from "./describe-cluster.js";

/** A bound for the tests, not a claim about speed. */
const READY_PATIENCE_MS = 30_000;
const POLL_MS = 50;
/** Few: what a node takes over is opened soon. */
const SHARDS = 8;

export interface TestClusterOptions {
  /** The addresses that nodes are told; of proxies, say. */
  readonly services: ClusterServices;
  /** Default 8. */
  readonly shards?: number;
  /** TRUNKLINE_… variables of all nodes. */
  readonly environment?: { readonly [name: string]: string };
}

export interface TestNodeOptions {
  /** TRUNKLINE_… variables of this node, over those of all. */
  readonly environment?: { readonly [name: string]: string };
  /** The addresses that this node is told in place of the cluster's. */
  readonly services?: Partial<ClusterServices>;
}

/** One node, over all its processes. Each process listens for clients where the first did; for other nodes anywhere. */
export class TestNode extends TestServer {
  readonly name: string;

  constructor(name: string, dataDirectory: string, environment: { readonly [name: string]: string }) {
    super({ dataDirectory, environment });
    this.name = name;
  }

  /** SIGSTOP: the process stands still, and does not know it. */
  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  /** SIGCONT: it goes on where it stood. */
  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Resolves once `/health/ready` says yes: every shard has had an owner since the node came. */
  async ready(withinMs = READY_PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const { ready, reasons } = await this.readiness();
      if (ready) return;
      if (performance.now() > deadline) throw new Error(`${this.name} is not ready: ${reasons.join("; ")}`);
      await pause(POLL_MS);
    }
  }

  /** Whether `/health/ready` says yes, and why not. */
  async readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }> {
    const response = await fetch(`${this.endpoints.http}/health/ready`);
    const { ready, reasons } = (await response.json()) as { readonly ready: boolean; readonly reasons: string[] };
    return { ready, reasons };
  }
}

/** Several nodes on the same services, with names in them that no other cluster has. */
export class TestCluster {
  /** What the cluster is called: its names in Redis, its topics, its database. */
  readonly name = `test-${randomUUID()}`;
  readonly #options: TestClusterOptions;
  /** The nodes' tokens are signed with one key, which lies here. */
  readonly #directory = mkdtempSync(join(tmpdir(), "trunkline-cluster-"));
  readonly #nodes = new Map<string, TestNode>();

  constructor(options: TestClusterOptions) {
    this.#options = options;
  }

  /** A node that has not been started; the same for the same name. */
  node(name: string, options: TestNodeOptions = {}): TestNode {
    const had = this.#nodes.get(name);
    if (had !== undefined) return had;
    const node = new TestNode(name, this.#directory, this.#environment(name, options));
    this.#nodes.set(name, node);
    return node;
  }

  /** Starts one node after the other, and resolves once all say that they listen. */
  async start<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ readonly [I in keyof Names]: TestNode }> {
    const nodes = names.map((name) => this.node(name));
    for (const node of nodes) await node.start();
    // One node for each name.
    return nodes as { readonly [I in keyof Names]: TestNode };
  }

  get nodes(): readonly TestNode[] {
    return [...this.#nodes.values()];
  }

  /** Of tokens that every node takes; there is one once a node was started. */
  get issuer(): TokenIssuer {
    const [node] = this.nodes;
    if (node === undefined) throw new Error("a cluster without nodes");
    return node.issuer;
  }

  /** Lines logged at "error" or above by any node. */
  get faults(): readonly string[] {
    return this.nodes.flatMap((node) => node.faults.map((line) => `${node.name}: ${line}`));
  }

  /** Where clients find the nodes one after the other, as behind a balancer that goes round. */
  get around(): { readonly endpoints: Endpoints; readonly issuer: TokenIssuer } {
    const { nodes, issuer } = this;
    let turn = 0;
    return {
      get endpoints() {
        const node = nodes[turn++ % nodes.length];
        if (node === undefined) throw new Error("a cluster without nodes");
        return node.endpoints;
      },
      issuer,
    };
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #environment(nodeName: string, options: TestNodeOptions): { readonly [name: string]: string } {
    const { services, shards = SHARDS, environment } = this.#options;
    const { redis, kafka, mongo } = { ...services, ...options.services };
    return {
      TRUNKLINE_ENGINE: "cluster",
      TRUNKLINE_CLUSTER_NAME: this.name,
      TRUNKLINE_NODE_NAME: nodeName,
      TRUNKLINE_SHARDS: `${shards}`,
      TRUNKLINE_REDIS_URL: redis,
      TRUNKLINE_KAFKA_BROKERS: kafka,
      TRUNKLINE_MONGODB_URL: mongo,
      TRUNKLINE_MONGODB_DATABASE: this.name,
      TRUNKLINE_PEER_PORT: "0",
      ...environment,
      ...options.environment,
    };
  }
}
