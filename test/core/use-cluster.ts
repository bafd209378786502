// Several cores in memory, in stopped time, over one engine whose archive is written behind its log: nodes of one cluster.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import type { Core } from "../../src/core/core.js";
import { shardOf } from "../../src/core/room/position.js";
import { wireError } from "../../src/core/session/frames.js";
import {
  type PeerAnswer,
  PeerAnswerSchema,
  type PeerRequest,
  PeerRequestSchema,
} from "../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { EventLog } from "../../src/ports/event-log.js";
import { type PeerQuestion, type PeerReply, type Peers, Unanswered } from "../../src/ports/peers.js";
import type { ClusterNode, Placement, PlacementListener } from "../../src/ports/placement.js";
import { MemoryEngine } from "../support/memory-engine.js";
import { MemoryDirectory } from "../support/memory-engine-directory.js";
import { MemoryRateShares } from "../support/memory-rate-shares.js";
import { MemoryTenantSessions } from "../support/memory-tenant-sessions.js";
import { StoppedClock } from "../support/stopped-clock.js";
import { type CoreOptions, settle, TestCore } from "./use-core.js";

/** Leases that change hands when the test says so. */
class TestPlacement implements Placement {
  readonly nodeId: string;
  readonly shards: number;
  /** What it believes to hold. */
  readonly held = new Set<number>();
  /** Counts the leases that have begun. */
  #leases = 0;
  readonly #leaseOf = new Map<number, number>();
  /** Of those, what it must not answer from any more, and has not been told so. */
  readonly lapsed = new Set<number>();
  /** Questions whether a lease holds. */
  asked = 0;
  listener: PlacementListener | undefined;
  /** Of all nodes, as it knows. */
  level = 1;
  left = false;
  readonly #cluster: TestCluster;
  readonly #listeners: (() => void)[] = [];

  constructor(cluster: TestCluster, nodeId: string, shards: number) {
    this.#cluster = cluster;
    this.nodeId = nodeId;
    this.shards = shards;
  }

  async start(listener: PlacementListener): Promise<void> {
    this.listener = listener;
    for (const shard of this.held) listener.gained(shard);
  }

  ownerOf(shard: number): ClusterNode | undefined {
    return this.#cluster.ownerAsKnown(this.nodeId, shard);
  }

  holds(shard: number): boolean {
    this.asked++;
    return this.held.has(shard) && !this.lapsed.has(shard);
  }

  nodes(): readonly ClusterNode[] {
    return this.#cluster.liveNodes();
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  gain(shard: number): void {
    // It learns that it had lost it before it has it again.
    if (this.lapsed.delete(shard)) this.lose(shard);
    if (this.held.has(shard)) return;
    this.held.add(shard);
    this.#leaseOf.set(shard, ++this.#leases);
    this.listener?.gained(shard);
  }

  lose(shard: number): void {
    this.lapsed.delete(shard);
    if (this.held.delete(shard)) this.listener?.lost(shard);
  }

  async yield(shard: number): Promise<void> {
    if (!this.held.has(shard)) return;
    const lease = this.#leaseOf.get(shard);
    await this.listener?.yields(shard);
    // Lost meanwhile: then nobody waits for it.
    if (this.#leaseOf.get(shard) === lease) this.held.delete(shard);
  }

  /** Shards that it was too old for. */
  readonly declined = new Set<number>();

  decline(shard: number): void {
    this.declined.add(shard);
    this.lose(shard);
  }

  async leave(): Promise<void> {
    if (this.left || this.listener === undefined) return;
    this.left = true;
    await this.#cluster.disperse(this.nodeId);
  }

  stop(): void {
    this.held.clear();
    this.listener = undefined;
  }
}

/** What becomes of questions from one node to another. */
export type LinkState =
  /** They arrive, and are answered. */
  | "open"
  /** They do not arrive. */
  | "cut"
  /** They arrive and are done, and nobody hears the answer. */
  | "deaf"
  /** They wait until the link is another. */
  | "held";

interface Link {
  state: LinkState;
  readonly waiting: (() => void)[];
}

class TestPeers implements Peers {
  readonly #cluster: TestCluster;
  readonly #from: string;
  #stopped = false;

  constructor(cluster: TestCluster, from: string) {
    this.#cluster = cluster;
    this.#from = from;
  }

  ask(node: ClusterNode, question: PeerQuestion): Promise<PeerReply> {
    if (this.#stopped) return Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving"));
    return this.#cluster.carry(this.#from, node.nodeId, question);
  }

  stop(): void {
    this.#stopped = true;
  }
}

export interface TestNode extends TestCore {
  readonly nodeId: string;
  readonly placement: TestPlacement;
  /** The log as this node has it. */
  readonly log: EventLog;
}

class ClusterCore extends TestCore implements TestNode {
  readonly nodeId: string;
  readonly placement: TestPlacement;

  readonly log: EventLog;

  constructor(nodeId: string, placement: TestPlacement, log: EventLog, options: CoreOptions) {
    super(options);
    this.nodeId = nodeId;
    this.placement = placement;
    this.log = log;
  }
}

export interface ClusterOptions
  extends Pick<CoreOptions, "limits" | "tenants" | "accessHook" | "publishHook" | "outlets"> {
  /** Default 3. */
  readonly nodes?: number;
  /** Default: one that answers at once. */
  readonly engine?: MemoryEngine;
}

/** A question that one node has asked another. */
export interface Asked {
  readonly from: string;
  readonly to: string;
  readonly question: PeerQuestion;
}

export class TestCluster {
  readonly clock = new StoppedClock();
  readonly engine: MemoryEngine;
  readonly nodes: readonly TestNode[];
  readonly tenantSessions = new MemoryTenantSessions(this.clock);
  /** Everything that nodes have asked each other, in order. */
  readonly asked: Asked[] = [];
  readonly #links = new Map<string, Link>();
  /** By shard, whom the nodes take for its owner. */
  readonly #known = new Map<number, string>();
  readonly #gone = new Set<string>();
  /** By shard, how often its owner has changed. */
  readonly #changes = new Map<number, number>();

  constructor(options: ClusterOptions = {}) {
    this.engine = options.engine ?? new MemoryEngine({ archivesOnAppend: false });
    const { clock, engine } = this;
    const directory = new MemoryDirectory({ archive: () => engine.archive, clock, answersLater: true });
    const shares = new MemoryRateShares(clock);
    this.nodes = Array.from({ length: options.nodes ?? 3 }, (_, index) => {
      const nodeId = `n${index + 1}`;
      const placement = new TestPlacement(this, nodeId, engine.shards);
      const log = engine.nodeLog();
      const parts = {
        log,
        directory: directory.node(),
        cluster: {
          placement,
          peers: new TestPeers(this, nodeId),
          rateShares: shares.node(),
          tenantSessions: this.tenantSessions.node(),
        },
      };
      return new ClusterCore(nodeId, placement, log, { ...options, engine, clock, name: nodeId, parts });
    });
    for (let shard = 0; shard < engine.shards; shard++) {
      const node = this.node(shard % this.nodes.length);
      this.#known.set(shard, node.nodeId);
      node.placement.held.add(shard);
    }
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map(({ core }) => core.start()));
    await settle();
  }

  async stop(): Promise<void> {
    this.openLinks();
    await Promise.all(this.nodes.filter(({ nodeId }) => !this.#gone.has(nodeId)).map(({ core }) => core.stop()));
  }

  /** The node of this index. */
  node(index: number): TestNode {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    return node;
  }

  shardOf(roomId: string, tenantId = "acme"): number {
    return shardOf(`${tenantId}/${roomId}`, this.engine.shards);
  }

  /** A room's owner, as all nodes know it. */
  ownerOf(roomId: string): TestNode {
    return this.#named(this.#known.get(this.shardOf(roomId)) ?? "");
  }

  /** A node that does not own the room. */
  strangerTo(roomId: string): TestNode {
    const found = this.nodes.find((node) => node !== this.ownerOf(roomId) && !this.#gone.has(node.nodeId));
    if (found === undefined) throw new Error("there is no other node");
    return found;
  }

  /** An id of a room that the node of this index owns now. */
  roomIdOf(index: number, name = "room"): string {
    for (let number = 0; ; number++) {
      const roomId = `${name}-${number}`;
      if (this.ownerOf(roomId) === this.node(index)) return roomId;
    }
  }

  /** The shard is handed over, as when a node comes or goes in good order. */
  async move(shard: number, to: TestNode): Promise<void> {
    const change = this.#change(shard);
    for (const { nodeId, placement } of this.nodes) if (nodeId !== to.nodeId) await placement.yield(shard);
    // Somebody else has it meanwhile.
    if (this.#changes.get(shard) !== change) return;
    this.#know(shard, to);
    to.placement.gain(shard);
    this.#tell();
  }

  /** The shard changes hands at once, as when a lease has run out. */
  seize(shard: number, to: TestNode): void {
    for (const { nodeId, placement } of this.nodes) if (nodeId !== to.nodeId) placement.lose(shard);
    this.#know(shard, to);
    to.placement.gain(shard);
    this.#tell();
  }

  /** The node believes that the shard is its own, and so does whoever had it: only clocks that run wild bring that about. `known`: others ask it. */
  share(shard: number, to: TestNode, known = true): void {
    if (known) this.#know(shard, to);
    to.placement.gain(shard);
    if (known) this.#tell();
  }

  /** The node's lease on the shard is over, and it has not been told: another may own it already. */
  lapse(shard: number, node: TestNode): void {
    node.placement.lapsed.add(shard);
  }

  /** Nobody owns the shard, until somebody is given it. */
  abandon(shard: number): void {
    for (const { placement } of this.nodes) placement.lose(shard);
    this.#change(shard);
    this.#known.delete(shard);
    this.#tell();
  }

  /** The process dies: nothing of it is heard any more. Its leases are nobody's until somebody is given them. */
  kill(node: TestNode): void {
    this.#gone.add(node.nodeId);
    for (const other of this.nodes) {
      if (other === node) continue;
      this.link(node, other, "cut");
      this.link(other, node, "cut");
    }
    for (const [shard, nodeId] of [...this.#known]) if (nodeId === node.nodeId) this.#known.delete(shard);
    for (const shard of [...node.placement.held]) node.placement.lose(shard);
    void node.core.stop();
    this.#tell();
  }

  /** What becomes of what one node asks another from now on; what was held goes on. */
  link(from: TestNode, to: TestNode, state: LinkState): void {
    const link = this.#link(from.nodeId, to.nodeId);
    link.state = state;
    if (state === "held") return;
    for (const carry of link.waiting.splice(0)) carry();
  }

  /** All links are open again. */
  openLinks(): void {
    for (const link of this.#links.values()) {
      link.state = "open";
      for (const carry of link.waiting.splice(0)) carry();
    }
  }

  /** Time passes on all nodes, in small steps, and what it brings about happens. */
  async elapse(milliseconds: number): Promise<void> {
    await this.node(0).elapse(milliseconds);
  }

  // — what the nodes' ports ask —

  /** As a node knows it: one that holds the shard's lease takes itself for the owner. */
  ownerAsKnown(nodeId: string, shard: number): ClusterNode | undefined {
    if (this.#named(nodeId).placement.holds(shard)) return this.#clusterNode(nodeId);
    const known = this.#known.get(shard);
    return known === undefined || known === nodeId ? undefined : this.#clusterNode(known);
  }

  liveNodes(): readonly ClusterNode[] {
    return this.nodes.filter(({ nodeId }) => !this.#gone.has(nodeId)).map(({ nodeId }) => this.#clusterNode(nodeId));
  }

  /** A node leaves: its shards go to the others, in turn. */
  async disperse(nodeId: string): Promise<void> {
    const others = this.nodes.filter(
      (node) => node.nodeId !== nodeId && !this.#gone.has(node.nodeId) && !node.placement.left,
    );
    const { placement } = this.#named(nodeId);
    await Promise.all(
      [...placement.held].map(async (shard, index) => {
        await placement.yield(shard);
        const to = others[index % others.length];
        if (to === undefined) this.#known.delete(shard);
        else {
          this.#know(shard, to);
          to.placement.gain(shard);
        }
        this.#tell();
      }),
    );
  }

  async carry(from: string, to: string, question: PeerQuestion): Promise<PeerReply> {
    this.asked.push({ from, to, question });
    const link = this.#link(from, to);
    // As it is when it comes out at the other end.
    const request = fromBinary(PeerRequestSchema, toBinary(PeerRequestSchema, requestOf(question)));
    if (link.state === "held" || link.waiting.length > 0) {
      await new Promise<void>((resolve) => link.waiting.push(resolve));
    }
    if (link.state === "cut") throw new Unanswered("the room's owner is not reachable", 200);
    const answer = await answerOf(this.#named(to).core, request);
    if (this.#link(from, to).state !== "open") throw new Unanswered("the room's owner does not answer", 200);
    return replyOf(fromBinary(PeerAnswerSchema, toBinary(PeerAnswerSchema, answer)));
  }

  #link(from: string, to: string): Link {
    const key = `${from} ${to}`;
    const link = this.#links.get(key) ?? { state: "open", waiting: [] };
    this.#links.set(key, link);
    return link;
  }

  #named(nodeId: string): TestNode {
    const node = this.nodes.find((each) => each.nodeId === nodeId);
    if (node === undefined) throw new RangeError(`no node ${nodeId}`);
    return node;
  }

  #clusterNode(nodeId: string): ClusterNode {
    return { nodeId, address: `${nodeId}:1`, since: 0, leaving: this.#named(nodeId).placement.left };
  }

  #change(shard: number): number {
    const change = (this.#changes.get(shard) ?? 0) + 1;
    this.#changes.set(shard, change);
    return change;
  }

  #know(shard: number, owner: TestNode): void {
    this.#change(shard);
    this.#known.set(shard, owner.nodeId);
  }

  #tell(): void {
    for (const { placement } of this.nodes) placement.tell();
  }
}

function requestOf(question: PeerQuestion): PeerRequest {
  return create(PeerRequestSchema, { id: 1, request: question });
}

async function answerOf(core: Core, { request }: PeerRequest): Promise<PeerAnswer> {
  try {
    return create(PeerAnswerSchema, { id: 1, answer: await core.answerPeer(request) });
  } catch (error) {
    return create(PeerAnswerSchema, {
      id: 1,
      answer: { case: "refusal", value: wireError(TrunklineError.from(error)) },
    });
  }
}

function replyOf({ answer }: PeerAnswer): PeerReply {
  if (answer.case !== "refusal") return answer;
  const { code, message, retryAfterMs, field, details } = answer.value;
  throw new TrunklineError(code, message, { field, details, ...(retryAfterMs !== undefined && { retryAfterMs }) });
}

/** A started cluster: shards are spread over its nodes in turn. It is stopped when the test ends. */
export async function useCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const cluster = new TestCluster(options);
  await cluster.start();
  onTestFinished(() => cluster.stop());
  return cluster;
}
