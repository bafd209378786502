// What several nodes share beside the store: leases, ways to each other, announcements, and the directory of sessions; and what goes wrong with it.

import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { PeerHandler } from "../../src/ports/peers.js";
import type { Placement } from "../../src/ports/placement.js";
import type { MemoryEngine, MemoryNode } from "../support/memory-engine.js";
import { MemoryDirectory, type MemorySessionDirectory } from "../support/memory-engine-directory.js";
import { type LeasesSnapshot, MemoryLeases } from "../support/memory-leases.js";
import { MemoryPeerNetwork, type MemoryPeers } from "../support/memory-peers.js";

import { Bus, type BusNode } from "./bus.js";
import type { Conditions } from "./ports.js";
import type { SimulatedClock, SimulatedTime } from "./time.js";

/** A node, from when it joins to when it dies. */
export interface Member {
  /** Of this life of it. */
  readonly id: string;
  readonly clock: SimulatedClock;
  readonly conditions: Conditions;
  readonly ports: MemoryNode;
  readonly fanout: BusNode;
  readonly directory: MemorySessionDirectory;
  readonly placement: Placement;
  readonly peers: MemoryPeers;
}

export class Cluster {
  readonly bus: Bus;
  readonly #engine: MemoryEngine;
  readonly #conditions: Conditions;
  readonly #leases: MemoryLeases;
  readonly #network = new MemoryPeerNetwork();
  readonly #directory: MemoryDirectory;
  readonly #members = new Map<string, Member>();
  /** Nodes that do not reach the leases. */
  readonly #unplaced = new Set<string>();
  /** Pairs of nodes that do not reach each other. */
  readonly #cut = new Set<string>();
  #lives = 0;
  #backup: LeasesSnapshot | undefined;

  /** `conditions` hold for what no node can be asked about any more: it may be under way when its node dies. */
  constructor(engine: MemoryEngine, time: SimulatedTime, conditions: Conditions) {
    this.#engine = engine;
    this.#conditions = conditions;
    const clock = time.clock();
    this.bus = new Bus(conditions);
    this.#leases = new MemoryLeases({ clock, shards: engine.shards });
    this.#leases.way = (id) => this.#toLeases(id);
    this.#network.way = (from, to) => this.#between(from, to);
    this.#directory = new MemoryDirectory({ archive: () => engine.archive, clock });
  }

  join(name: string, clock: SimulatedClock, conditions: Conditions): Member {
    const id = `${name}.${++this.#lives}`;
    const member = {
      id,
      clock,
      conditions,
      ports: this.#engine.node(),
      fanout: this.bus.join(id, conditions),
      directory: this.#directory.node(),
      placement: this.#leases.placement(id, clock),
      peers: this.#network.node(id, clock),
    };
    this.#members.set(id, member);
    return member;
  }

  /** The node answers others. */
  serve({ id }: Member, handler: PeerHandler): void {
    this.#network.serve(id, handler);
  }

  /** The node is dead, or has left. */
  end(member: Member): void {
    this.#members.delete(member.id);
    this.#unplaced.delete(member.id);
    this.#network.end(member.id);
    this.bus.end(member.fanout);
    member.placement.stop();
    member.peers.stop();
    member.ports.end();
    this.#directory.crash(member.directory);
  }

  /** Shards are to be other nodes' than before. */
  moveShards(): void {
    this.#leases.salt = String(this.#conditions.chance.below(1_000));
    void this.#leases.notify();
  }

  /** The store of leases and of sessions has forgotten everything. Nodes that live say what they had, as soon as they see it. */
  emptyStore(): void {
    this.#leases.empty();
    this.#directory.empty();
  }

  /** Some nodes follow another master of the leases, or all one again. */
  splitLeases(): void {
    const { chance, coverage } = this.#conditions;
    if (this.#leases.isSplit) {
      this.#leases.join(chance.of(0.5));
      return;
    }
    const ids = [...this.#members.keys()];
    const some = ids.filter(() => chance.of(0.5));
    if (some.length === 0 || some.length === ids.length) return;
    coverage.count("leases with two masters");
    this.#leases.split(some);
  }

  get areLeasesSplit(): boolean {
    return this.#leases.isSplit;
  }

  /** The store of leases is as it was when this was called last. */
  rollBackLeases(): void {
    if (this.#backup !== undefined) {
      this.#conditions.coverage.count("stores of leases rolled back");
      this.#leases.restore(this.#backup);
    }
    this.#backup = this.#leases.snapshot();
  }

  /** Whether the node reaches the store of leases. */
  place({ id }: Member, reached: boolean): void {
    if (reached) this.#unplaced.delete(id);
    else this.#unplaced.add(id);
  }

  isPlaced({ id }: Member): boolean {
    return !this.#unplaced.has(id);
  }

  /** Two nodes do not reach each other, or do again. */
  cut(one: Member, other: Member): void {
    const pair = pairOf(one.id, other.id);
    if (!this.#cut.delete(pair)) this.#cut.add(pair);
  }

  /** Everything reaches everything. */
  mend(): void {
    this.#leases.join(this.#conditions.chance.of(0.5));
    this.#unplaced.clear();
    this.#cut.clear();
    for (const { fanout } of this.#members.values()) fanout.mend();
  }

  async #toLeases(id: string): Promise<void> {
    const { chance, weather, coverage } = this.#conditions;
    const member = this.#members.get(id);
    if (member !== undefined && chance.of(weather.readHeld * PLACEMENT_HELD)) await member.conditions.gates.hold();
    if (member?.clock.paused === true) throw unreachable("who stands still says nothing, and hears no answer");
    if (!this.#unplaced.has(id)) return;
    coverage.count("rounds without the leases");
    throw unreachable("the leases are not reachable");
  }

  async #between(from: string, to: string): Promise<void> {
    const { chance, weather, gates, coverage } = this.#conditions;
    if (chance.of(weather.peerHeld)) {
      coverage.count("peers held");
      await gates.hold();
    }
    if (!this.#cut.has(pairOf(from, to)) && !chance.of(weather.peerFails)) return;
    coverage.count("peers not reached");
    throw unreachable(`${to} is not reachable from ${from}`);
  }
}

/** Rounds are held seldomer than what is read: each takes two of them. */
const PLACEMENT_HELD = 0.1;

function pairOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}

function unreachable(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: 200 });
}
