// Where a command finds its room's owner: a shard of this node, or the node whose shard it is.

import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { TrunklineError } from "../../ports/error.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { PeerQuestion, PeerReply } from "../../ports/peers.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { RoomReading } from "../archive/room-reading.js";
import type { CommandQueue } from "../cluster/command-queue.js";
import type { PeerAnswers } from "../cluster/peer-answers.js";
import type { RemoteRooms } from "../cluster/remote-rooms.js";
import { Routing } from "../cluster/routing.js";
import { UserNotices } from "../cluster/user-notices.js";
import type { CoreDependencies } from "../core.js";
import { AccessGate } from "../hook/access-gate.js";
import { PublishGate } from "../hook/publish-gate.js";
import { TenantRooms } from "../limit/tenant-rooms.js";
import { Blocks } from "./blocks.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { EndWatch } from "./end-watch.js";
import { Expiry } from "./expiry.js";
import { IdleRooms } from "./idle-rooms.js";
import { OwnedShards } from "./owned-shards.js";
import { shardOf } from "./position.js";
import type { SeenRoom } from "./room.js";
import { type Appended, Shard } from "./shard.js";
import type { ShardStatus } from "./shard-status.js";
import type { Submission } from "./turns.js";
import { ownerChanged, unavailable } from "./unavailable.js";

const SWEEP_INTERVAL_MS = 60_000;

export class RoomOwner {
  readonly #deps: CoreDependencies;
  readonly #shards: readonly Shard[];
  /** Undefined: every shard is this node's. */
  readonly #routing: Routing | undefined;
  readonly notices: UserNotices;
  readonly blocks: Blocks;
  readonly access: AccessGate | undefined;
  readonly #tenantRooms: TenantRooms;
  /** Undefined: no other node writes to the log. */
  readonly #ends: EndWatch | undefined;
  readonly #expiry: Expiry;
  readonly #idleRooms: IdleRooms;
  readonly #listeners: Appended[] = [];
  readonly #openingListeners: ((shard: number, end: number) => Promise<void>)[] = [];
  readonly #lateListeners: ((records: readonly NewRecord[]) => void)[] = [];
  readonly #openedListeners: ((shard: number, end: number) => void)[] = [];
  readonly #yieldingListeners: ((shard: number) => Promise<void>)[] = [];
  readonly #releasedListeners: ((shard: number) => void)[] = [];
  #sweep: Timer | undefined;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
    this.notices = new UserNotices(deps);
    this.blocks = new Blocks(deps.ids, this.notices, (ref, users, read) => this.view(ref, users, read));
    const submit = (ref: RoomRef, caller: Caller, command: Command) => this.submit(ref, caller, command).outcome;
    this.access = deps.accessHook && new AccessGate(deps, deps.accessHook, submit);
    this.#tenantRooms = new TenantRooms(deps, () => this.#drained());
    const gates = { access: this.access, publish: deps.publishHook && new PublishGate(deps, deps.publishHook) };
    this.#shards = Array.from(
      { length: deps.log.shards },
      (_, index) =>
        new Shard(index, deps, this.blocks, this.#tenantRooms, gates, {
          opening: async (shard, end) => {
            await Promise.all(this.#openingListeners.map((listener) => listener(shard, end)));
          },
          appended: (shard, from, records) => {
            if (records.length === 0) for (const listener of this.#openedListeners) listener(shard, from);
            this.blocks.appended(records);
            this.#tenantRooms.appended(shard, records);
            for (const listener of this.#listeners) listener(shard, from, records);
            if (records.length === 0) this.#routing?.changed();
          },
          late: (records) => {
            this.blocks.appended(records);
            for (const listener of this.#lateListeners) listener(records);
          },
        }),
    );
    this.#routing = deps.cluster && new Routing(deps, deps.cluster, this.#shards, this.access);
    this.#ends = deps.cluster && new EndWatch(deps, this.#shards);
    const owned = new OwnedShards(this);
    this.#expiry = new Expiry(deps, submit, owned);
    this.#idleRooms = new IdleRooms(deps, submit, owned);
  }

  /** Opens every shard, or joins the cluster and opens those that are due to this node. Rejects when one, or the cluster, cannot be opened. */
  async start(): Promise<void> {
    const { cluster } = this.#deps;
    if (cluster === undefined) await Promise.all(this.#shards.map((shard) => shard.open()));
    else {
      await cluster.placement.start({
        // It keeps trying by itself.
        gained: (shard) => void this.#shards[shard]?.open().catch(ignore),
        lost: (shard) => this.#release(shard, ownerChanged()),
        yields: async (shard) => {
          const still = () => Promise.all(this.#yieldingListeners.map((listener) => listener(shard)));
          if ((await this.#shards[shard]?.handOver(still)) === true) this.#release(shard, ownerChanged());
        },
      });
    }
    this.#scheduleSweep();
    this.#ends?.start();
    this.#expiry.start();
    this.#idleRooms.start();
  }

  /** Where each shard's log ends. */
  get ends(): readonly number[] {
    return this.#shards.map(({ end }) => end);
  }

  /** How each shard stands on this node. */
  get shards(): readonly ShardStatus[] {
    return this.#shards.map(({ status }) => status);
  }

  /** Calls the listener with events that have become durable, from now on. */
  onAppended(listener: Appended): void {
    this.#listeners.push(listener);
  }

  /**
   * Calls the listener when this node is opening a shard, whose log ends at `end`: nothing is appended before what it resolves with. Where it
   * rejects, the shard is not opened, and opened again later.
   */
  onOpening(listener: (shard: number, end: number) => Promise<void>): void {
    this.#openingListeners.push(listener);
  }

  /** Calls the listener with events that turned out to be durable, and were announced late, or how far their rooms have come. Only some of them may be new. */
  onToldLate(listener: (records: readonly NewRecord[]) => void): void {
    this.#lateListeners.push(listener);
  }

  /** Calls the listener when this node has opened a shard's log, which ends at `end`: also when it is opened anew after a failure. */
  onOpened(listener: (shard: number, end: number) => void): void {
    this.#openedListeners.push(listener);
  }

  /**
   * Calls the listener when another node is to have the shard, which takes nothing more here: what it resolves with is waited for, so that the
   * other finds what is kept of it. Not where the shard is lost. Must not reject.
   */
  onYielding(listener: (shard: number) => Promise<void>): void {
    this.#yieldingListeners.push(listener);
  }

  /** Calls the listener when a shard is no longer this node's: another node may have it already. */
  onReleased(listener: (shard: number) => void): void {
    this.#releasedListeners.push(listener);
  }

  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    return this.#queue(ref)?.submit(ref, caller, command) ?? this.#shard(ref).submit(ref, caller, command);
  }

  /**
   * Reads a room's durable state, with the standings of `users` loaded, at its owner. `read` is called synchronously, and its answer, or what
   * it throws, is given. Rejects with UNAVAILABLE.
   */
  view<T>(ref: RoomRef, users: readonly string[], read: (room: SeenRoom) => T): Promise<T> {
    return (this.#elsewhere(ref) ?? this.#shard(ref)).view(ref, users, read);
  }

  /** Like `view`, for a caller who may do `permission` in the room; rejects with the refusal. */
  read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: SeenRoom) => T): Promise<T> {
    return (this.#elsewhere(ref) ?? this.#shard(ref)).read(ref, caller, permission, read);
  }

  /** What is stored of a room, archived or not. */
  reading(ref: RoomRef): RoomReading {
    return (this.#elsewhere(ref) ?? this.#shard(ref)).reading;
  }

  /** As Shard's. Rejects where another node owns the room: it alone knows. */
  settled(ref: RoomRef): Promise<void> | undefined {
    if (this.#elsewhere(ref) !== undefined) return Promise.reject(ownerChanged());
    return this.#shard(ref).settled(ref);
  }

  /** Whether this node owns the room, and may answer for it. */
  owns(ref: RoomRef): boolean {
    return this.#elsewhere(ref) === undefined;
  }

  /**
   * Asks the room's owner, also again where another node turns out to be it: nothing that must not be done twice. `here` answers where it is
   * this node after all. Rejects with the owner's refusal, or with UNAVAILABLE.
   */
  ask(ref: RoomRef, question: PeerQuestion, here: () => Promise<PeerReply>): Promise<PeerReply> {
    return this.#routing?.ask(ref, question, here) ?? here();
  }

  /** What this node answers others for the rooms that it owns. */
  get answers(): PeerAnswers | undefined {
    return this.#routing?.answers;
  }

  /** Resolves when every accepted command has been answered. */
  async idle(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.idle()));
  }

  /** Hands every shard over to other nodes, where there are any, and leaves the cluster. Idempotent; never rejects. */
  async leave(): Promise<void> {
    await this.#deps.cluster?.placement.leave();
  }

  close(): void {
    this.#sweep?.cancel();
    this.#ends?.stop();
    this.#expiry.stop();
    this.#idleRooms.stop();
    this.#deps.cluster?.placement.stop();
    for (const index of this.#shards.keys()) this.#release(index, unavailable("the node is stopping"));
    this.#routing?.stop();
    this.#deps.cluster?.peers.stop();
  }

  #release(index: number, error: TrunklineError): void {
    if (this.#shards[index]?.close(error) !== true) return;
    // Of what was under way nobody here will say whether it is stored.
    this.#tenantRooms.appended(index, []);
    for (const listener of this.#releasedListeners) listener(index);
  }

  /** Where commands of the room wait for its owner; undefined: they need not. */
  #queue(ref: RoomRef): CommandQueue | undefined {
    return this.#routing?.queueOf(ref);
  }

  /** Undefined: the room is this node's. */
  #elsewhere(ref: RoomRef): RemoteRooms | undefined {
    return this.#routing?.elsewhere(ref);
  }

  #shard(ref: RoomRef): Shard {
    const shard = this.#shards[shardOf(ref.key, this.#shards.length)];
    if (shard === undefined) throw new Error("a store has at least one shard");
    return shard;
  }

  /** Resolves once all that is durable in this node's shards is archived; undefined: it is. Rejects with UNAVAILABLE after a while. */
  #drained(): PromiseLike<unknown> | undefined {
    const waits = this.#shards.flatMap((shard) => shard.drained() ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  #scheduleSweep(): void {
    this.#sweep = this.#deps.clock.after(SWEEP_INTERVAL_MS, () => {
      for (const shard of this.#shards) shard.sweep();
      this.#tenantRooms.sweep();
      this.#scheduleSweep();
    });
  }
}

function ignore(): void {}
