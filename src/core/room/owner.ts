// All shards of this node: where a command finds its room's owner.

import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { RoomReading } from "../archive/room-reading.js";
import type { CoreDependencies } from "../core.js";
import { AccessGate } from "../hook/access-gate.js";
import { PublishGate } from "../hook/publish-gate.js";
import { TenantRooms } from "../limit/tenant-rooms.js";
import { Blocks } from "./blocks.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { Expiry } from "./expiry.js";
import { IdleRooms } from "./idle-rooms.js";
import { shardOf } from "./position.js";
import type { Room } from "./room.js";
import { type Appended, Shard, type Submission } from "./shard.js";

const SWEEP_INTERVAL_MS = 60_000;

export class RoomOwner {
  readonly #deps: CoreDependencies;
  readonly #shards: readonly Shard[];
  readonly blocks: Blocks;
  readonly access: AccessGate | undefined;
  readonly #tenantRooms: TenantRooms;
  readonly #expiry: Expiry;
  readonly #idleRooms: IdleRooms;
  readonly #listeners: Appended[] = [];
  readonly #openedListeners: ((shard: number, end: number) => void)[] = [];
  readonly #releasedListeners: ((shard: number) => void)[] = [];
  #sweep: Timer | undefined;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
    this.blocks = new Blocks(deps, (ref, users, read) => this.view(ref, users, read));
    const submit = (ref: RoomRef, caller: Caller, command: Command) => this.submit(ref, caller, command).outcome;
    this.access = deps.accessHook && new AccessGate(deps, deps.accessHook, submit);
    this.#tenantRooms = new TenantRooms(deps);
    const gates = { access: this.access, publish: deps.publishHook && new PublishGate(deps, deps.publishHook) };
    this.#shards = Array.from(
      { length: deps.log.shards },
      (_, index) =>
        new Shard(index, deps, this.blocks, this.#tenantRooms, gates, (shard, from, records) => {
          if (records.length === 0) for (const listener of this.#openedListeners) listener(shard, from);
          this.blocks.appended(records);
          this.#tenantRooms.appended(shard, records);
          for (const listener of this.#listeners) listener(shard, from, records);
        }),
    );
    this.#expiry = new Expiry(deps, submit);
    this.#idleRooms = new IdleRooms(deps, submit);
  }

  /** Opens every shard. Rejects when one cannot be opened. */
  async start(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.open()));
    this.#scheduleSweep();
    this.#expiry.start();
    this.#idleRooms.start();
  }

  /** Where each shard's log ends. */
  get ends(): readonly number[] {
    return this.#shards.map(({ end }) => end);
  }

  /** Calls the listener with events that have become durable, from now on. */
  onAppended(listener: Appended): void {
    this.#listeners.push(listener);
  }

  /** Calls the listener when this node has opened a shard's log, which ends at `end`: also when it is opened anew after a failure. */
  onOpened(listener: (shard: number, end: number) => void): void {
    this.#openedListeners.push(listener);
  }

  /** Calls the listener when a shard is no longer this node's: another node may have it already. */
  onReleased(listener: (shard: number) => void): void {
    this.#releasedListeners.push(listener);
  }

  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    return this.#shard(ref).submit(ref, caller, command);
  }

  view<T>(ref: RoomRef, users: readonly string[], read: (room: Room) => T): Promise<T> {
    return this.#shard(ref).view(ref, users, read);
  }

  /** Like `view`, for a caller who may do `permission` in the room; rejects with the refusal. */
  read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: Room) => T): Promise<T> {
    return this.#shard(ref).read(ref, caller, permission, read);
  }

  /** What is stored of a room, archived or not. */
  reading(ref: RoomRef): RoomReading {
    return this.#shard(ref).reading;
  }

  /** As Shard's. */
  settled(ref: RoomRef): Promise<void> | undefined {
    return this.#shard(ref).settled(ref);
  }

  /** Resolves when every accepted command has been answered. */
  async idle(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.idle()));
  }

  close(): void {
    this.#sweep?.cancel();
    this.#expiry.stop();
    this.#idleRooms.stop();
    for (const [index, shard] of this.#shards.entries()) {
      shard.close();
      for (const listener of this.#releasedListeners) listener(index);
    }
  }

  #shard(ref: RoomRef): Shard {
    const shard = this.#shards[shardOf(ref.key, this.#shards.length)];
    if (shard === undefined) throw new Error("a store has at least one shard");
    return shard;
  }

  #scheduleSweep(): void {
    this.#sweep = this.#deps.clock.after(SWEEP_INTERVAL_MS, () => {
      for (const shard of this.#shards) shard.sweep();
      this.#tenantRooms.sweep();
      this.#scheduleSweep();
    });
  }
}
