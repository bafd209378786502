// Whatever is made, deleted, lost and counted when: a tenant never has a room too many, and a free place is not refused for long.

import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limit/limits.js";
import { TenantRooms } from "../../../src/core/limit/tenant-rooms.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import type { EventKind } from "../../../src/core/room/command.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { RoomCreatedSchema, RoomDeletedSchema, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import type { NewRecord } from "../../../src/ports/event-log.js";
import { type RoomRef, roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { gate, settle } from "../use-core.js";

const TENANT = "acme";
const LIMIT = 2;
const SHARDS = 2;

interface Turn {
  readonly room: RoomRef;
  readonly kind: EventKind;
}

/** A shard's log: what has had its turn, and of that what is stored and not told. */
interface Log {
  turns: Turn[];
  stored: number;
  /** It does not answer: what is not stored never will be. */
  away: boolean;
}

/** A node that makes rooms of one tenant, with a log and an archive that answer when the test says. */
class World {
  readonly clock = new StoppedClock();
  readonly rooms = new Set<string>();
  readonly logs: Log[] = Array.from({ length: SHARDS }, () => ({ turns: [], stored: 0, away: false }));
  /** Counts under way: what they have read, once they have. */
  readonly counts: {
    readonly sinceMs: number;
    read: number | undefined;
    answer: (rooms: number) => void;
    fail: (error: Error) => void;
  }[] = [];
  /** How long the longest took, in milliseconds. */
  slowestMs = 0;
  atOnce: boolean;
  quota: TenantRooms;
  #names = 0;

  constructor(atOnce: boolean) {
    this.atOnce = atOnce;
    this.quota = this.#start();
  }

  #start(): TenantRooms {
    const engine = new MemoryEngine({ shards: SHARDS });
    const archive = Object.assign(Object.create(engine.archive), { countRooms: () => this.#count() });
    const limits = { ...DEFAULT_LIMITS, maxRoomsPerTenant: LIMIT };
    const tenants = new TenantLimits(limits);
    return new TenantRooms({ archive, clock: this.clock, log: engine.log, telemetry: new Telemetry(), tenants });
  }

  #count(): number | Promise<number> {
    if (this.atOnce) return this.rooms.size;
    const { promise, resolve, reject } = gate<number>();
    this.counts.push({ sinceMs: this.clock.monotonic(), read: undefined, answer: resolve, fail: reject });
    return promise;
  }

  /** How many there are if everything that had its turn is stored, but for the deletions. */
  get most(): number {
    const making = this.logs.flatMap(({ turns, stored, away }) => (away ? [] : turns.slice(stored)));
    return this.rooms.size + making.filter(({ kind }) => kind.case === "roomCreated").length;
  }

  async create(shard: number): Promise<boolean> {
    const { quota } = this;
    await quota.ready(TENANT);
    // The process has died meanwhile, or the shard takes nothing.
    if (quota !== this.quota || this.logs[shard]?.away) return false;
    const room = roomRef(TENANT, `${shard}.${++this.#names}`);
    if (quota.refusal(room) !== undefined) return false;
    this.#turn(shard, room, { case: "roomCreated", value: create(RoomCreatedSchema) });
    return true;
  }

  delete(shard: number): void {
    const log = this.logs[shard];
    const dying = new Set(log?.turns.flatMap(({ room, kind }) => (kind.case === "roomDeleted" ? [room.roomId] : [])));
    const roomId = [...this.rooms].find((id) => id.startsWith(`${shard}.`) && !dying.has(id));
    if (log?.away || roomId === undefined) return;
    this.#turn(shard, roomRef(TENANT, roomId), { case: "roomDeleted", value: create(RoomDeletedSchema) });
  }

  #turn(shard: number, room: RoomRef, kind: EventKind): void {
    this.quota.accepted(shard, room, [kind]);
    this.logs[shard]?.turns.push({ room, kind });
  }

  /** What has had its turn is stored; nobody is told. */
  store(shard: number): void {
    const log = this.logs[shard];
    if (log === undefined || log.away) return;
    for (const { room, kind } of log.turns.slice(log.stored)) {
      if (kind.case === "roomCreated") this.rooms.add(room.roomId);
      else this.rooms.delete(room.roomId);
    }
    log.stored = log.turns.length;
  }

  tell(shard: number): void {
    const log = this.logs[shard];
    if (log === undefined || log.stored === 0 || log.away) return;
    const told = log.turns.splice(0, log.stored);
    log.stored = 0;
    this.quota.appended(shard, told.map(recordOf));
  }

  /** The log does not say what it has stored. */
  fail(shard: number): void {
    const log = this.logs[shard];
    if (log !== undefined) log.away = true;
  }

  reopen(shard: number): void {
    const log = this.logs[shard];
    if (log === undefined || !log.away) return;
    Object.assign(log, { turns: [], stored: 0, away: false });
    this.quota.appended(shard, []);
  }

  read(): void {
    for (const count of this.counts) count.read ??= this.rooms.size;
  }

  answer(): void {
    const [first] = this.counts.splice(0, 1);
    if (first === undefined) return;
    this.slowestMs = Math.max(this.slowestMs, this.clock.monotonic() - first.sinceMs);
    first.answer(first.read ?? this.rooms.size);
  }

  refuse(): void {
    this.counts.shift()?.fail(new Error("the archive is away"));
  }

  restart(): void {
    this.counts.length = 0;
    for (const log of this.logs) Object.assign(log, { turns: [], stored: 0, away: false });
    this.quota = this.#start();
  }

  /** Everything that was begun comes to its end. */
  async calm(): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      this.reopen(shard);
      this.store(shard);
      this.tell(shard);
    }
    for (let turn = 0; turn < 3; turn++) {
      this.answer();
      await settle(1);
    }
  }
}

function recordOf({ room, kind }: Turn): NewRecord {
  const event = create(RoomEventSchema, { kind });
  return { room, event: new EncodedEvent(1, 1, new Uint8Array(), event) };
}

const SHARD = fc.nat(SHARDS - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom("create", "delete"), SHARD) },
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("store", "tell"), SHARD) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("fail", "restart"), SHARD) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("reopen"), SHARD) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("read", "answer"), SHARD) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("refuse", "sweep"), SHARD) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom(300, 1_000, 60_000, 11 * 60_000), SHARD) },
);

/** What a step does. A number: so many milliseconds pass. */
function take(world: World, [what, shard]: readonly [string | number, number]): unknown {
  switch (what) {
    case "create":
      return world.create(shard).catch(() => false);
    case "delete":
    case "store":
    case "tell":
    case "fail":
    case "reopen":
      return world[what](shard);
    case "read":
    case "answer":
    case "refuse":
    case "restart":
      return world[what]();
    case "sweep":
      return world.quota.sweep();
    default:
      return world.clock.advance(Number(what));
  }
}

it("there is never a room too many, and a free place is not refused for long", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 150, size: "max" }), async (atOnce, steps) => {
      const world = new World(atOnce);
      for (const each of steps) {
        take(world, each);
        await settle(1);
        expect(world.most).toBeLessThanOrEqual(LIMIT);
      }
      await world.calm();
      world.clock.advance(Math.min(Math.max(1_000, 10 * world.slowestMs), 60_000));
      world.atOnce = true;
      // One that waited may have been let in just now.
      await world.calm();
      while (world.rooms.size < LIMIT) {
        expect(await world.create(0)).toBe(true);
        await world.calm();
      }
      expect(await world.create(1)).toBe(false);
      world.delete(0);
      await world.calm();
      world.clock.advance(1_000);
      expect(await world.create(1)).toBe(world.rooms.size < LIMIT);
    }),
    { numRuns: 1_000 },
  );
});
