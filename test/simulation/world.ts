// The world around one core: a process that can die, a store that goes wrong, users with their devices, and time.

import { create, fromBinary } from "@bufbuild/protobuf";
import { EmbeddedSessionDirectory } from "../../src/adapters/embedded/session-directory.js";
import type { Core, Ids } from "../../src/core/core.js";
import { createCore } from "../../src/core/create-core.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/core/limit/limits.js";
import { ratesWith } from "../../src/core/limit/rates.js";
import { TenantLimits } from "../../src/core/limit/tenants.js";
import type { Caller, RoomRequest, RoomResponse } from "../../src/core/room/calls.js";
import { inboxRef } from "../../src/core/room/inbox.js";
import { shardOf } from "../../src/core/room/position.js";
import { Telemetry } from "../../src/core/telemetry.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { JoinRule, Role, type RoomEvent, RoomEventSchema, RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import { GetPresenceRequestSchema } from "../../src/gen/trunkline/v1/presence_pb.js";
import {
  AddMembersRequestSchema,
  CreateRoomRequestSchema,
  GetHistoryRequestSchema,
  GetSettingsRequestSchema,
  ListRoomsRequestSchema,
  SetSettingsRequestSchema,
  UpdateRoomRequestSchema,
} from "../../src/gen/trunkline/v1/room_pb.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { AppendBatch } from "../../src/ports/event-log.js";
import { type RoomRef, roomRef } from "../../src/ports/room-ref.js";
import type { Identity } from "../../src/ports/token-verifier.js";
import { type AppendFault, type Arrival, MemoryEngine, type MemorySnapshot } from "../support/memory-engine.js";
import { eventsOf } from "../support/memory-engine-state.js";
import { UNLIMITED_RATES } from "../support/rates.js";
import { Application, SAID_IN } from "./application.js";
import type { BusNode } from "./bus.js";
import { Chance } from "./chance.js";
import { Checker } from "./checker.js";
import { Cluster, type Member } from "./cluster.js";
import { Coverage } from "./coverage.js";
import { Device } from "./device.js";
import { Directs } from "./directs.js";
import { ANOTHER_OWNER, foreignBatch } from "./foreign.js";
import { Gates } from "./gates.js";
import { LateAppends } from "./late-appends.js";
import { Link, placeOf } from "./link.js";
import { MarkerRecords } from "./marker-records.js";
import {
  type Conditions,
  FAIR,
  SimulatedVerifier,
  type Token,
  tokenText,
  type Weather,
  WeatheredArchive,
  WeatheredFanout,
  WeatheredLog,
  WeatheredOutletStore,
} from "./ports.js";
import { requirePresence } from "./presence-record.js";
import { seenWrongly } from "./presence-watched.js";
import { GOVERNED_TENANT } from "./room-record.js";
import { Sender } from "./sender.js";
import { SimulatedWire } from "./shared-wire.js";
import { TailReader } from "./tail-reader.js";
import { TailRecords } from "./tail-records.js";
import { SimulatedTarget } from "./target.js";
import { requireThreads } from "./threads-shown.js";
import { type SimulatedClock, SimulatedTime } from "./time.js";
import { Trace } from "./trace.js";
import { textOf } from "./user-record.js";
import { Violation } from "./violation.js";

export interface WorldOptions {
  readonly seed: number;
  /** Per tenant; both tenants have rooms of the same ids. */
  readonly rooms: number;
  /** The first so many rooms get most of the traffic. */
  readonly hotRooms: number;
  readonly users: number;
  readonly devices: number;
  /** Whether the archive is written behind the log, as in a cluster. */
  readonly behind?: boolean;
  /** So many nodes of one cluster. Undefined: one that is alone. */
  readonly nodes?: number | undefined;
}

export const TENANTS = ["acme", "globex"] as const;
const SHARDS = 4;
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);
/** What an append takes: little, so that batches close while others are under way, and more than one command makes. */
/** How often a connection is over a wire that others share. */
const WIRED = 0.4;
const MAX_BATCH_BYTES = 32 * 1024;
const ADMINISTRATOR = "administrator";
const SERVICE = "service";
/** Users who may do anything. */
const TRUSTED: ReadonlySet<string> = new Set([ANOTHER_OWNER, ADMINISTRATOR, SERVICE]);
/** Users who are asked in a calm what they have not read. */
const USERS_ASKED = 6;
/** Readers of tails, of each tenant. */
const TAILS = 2;

/** Small, so that every bound is met. */
const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  maxInFlight: 12,
  maxRoomsPerSession: 12,
  maxSessionsPerUser: 2,
  recoveryLimit: 40,
  outboxBytes: 12 * 1024,
  ringBytes: 6 * 1024,
  replayReads: 3,
  shardPendingBytes: 48 * 1024,
  rates: ratesWith({ publish: { session: { perSecond: 10, burst: 14 } } }, UNLIMITED_RATES),
};

/** Timers of a core that is at rest: the sweep, the end of expired messages, the looks at idle rooms, the places of the four followers and of an outlet, its dead letters, the collecting window's sample, the timer wheel. */
const RESTING_TIMERS = 11;
/** The same of one of several, at most: its rounds and the end of its leases as well. */
const RESTING_TIMERS_OF_ONE_OF_SEVERAL = 17;
/** Longest time in which everything heals, in simulated milliseconds: the longest backoffs of the client and of a shard, and their work. */
const HEALING_MS = 120_000;
/** The longest backoff of an outlet, and what it hands over then. */
const OUTLET_HEALING_MS = 400_000;
const OUTLET = "all";

/** Messages that are said in a calm of several nodes without an announcement, and how long nothing is announced. */
const WHISPERS = 20;
const WHISPER_MS = 1_000;
/** Announcements lost while there is a storm, 0 to 1. */
const LOST_IN_STORM = 0.4;
/**
 * How long after there was one master of the leases again an owner may show what is old, in milliseconds: while its lease holds from before, until
 * it looks at the log's end, and as long as it stood still.
 */
const IN_DOUBT_MS = 12_000;
/** How often an append that is held is held for long, where there are several nodes. */
const HELD_FOR_LONG = 0.4;

const macrotask = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A running process. */
interface Node {
  readonly core: Core;
  readonly clock: SimulatedClock;
  readonly fanout: WeatheredFanout | BusNode;
  readonly verifier: SimulatedVerifier;
  readonly gates: Gates;
  /** Of one of several. */
  readonly member: Member | undefined;
  readonly outlet: OutletWatch;
  /** What some of its connections share. */
  readonly wire: SimulatedWire;
}

/** What a process says of its outlet. */
interface OutletWatch {
  /** Rooms that it has set aside. */
  parked: number;
}

export class World {
  readonly options: WorldOptions;
  readonly chance: Chance;
  readonly time = new SimulatedTime();
  readonly trace = new Trace();
  readonly coverage = new Coverage();
  readonly checker = new Checker(TRUSTED);
  readonly engine: MemoryEngine;
  /** Whether the archive is written behind the log. */
  readonly isBehind: boolean;
  readonly weather: Weather = { ...FAIR };
  readonly devices: Device[] = [];
  readonly tailRecords = new TailRecords(this.checker);
  readonly markers = new MarkerRecords(this.checker);
  readonly directs = new Directs(digest, this.checker);
  readonly application = new Application({
    checker: this.checker,
    eventId: (...of) => this.eventId(...of),
    trusted: TRUSTED,
  });
  readonly senders: Sender[] = [];
  readonly tails: TailReader[] = [];
  /** What `load` tells the core. */
  load = 0;
  /** Events that reached devices. */
  deliveries = 0;
  readonly #gates: Gates;
  readonly #conditions: Conditions;
  readonly #clientClock: SimulatedClock;
  readonly #revoked = new Set<string>();
  readonly #arrived = new Map<Link, Device>();
  /** Whom each device has connected to last. */
  readonly #connected = new Map<Device, Node>();
  readonly #tokens = new Map<string, Token>();
  /** Rooms whose subscribers may have missed the last event for good. */
  readonly #untold = new Map<string, RoomRef>();
  readonly #target: SimulatedTarget;
  /** Where in each shard's log begins what the target must have had. */
  #targetSince: number[] = Array.from({ length: SHARDS }, () => 0);
  readonly #absorbed: number[] = Array.from({ length: SHARDS }, () => 0);
  #foreign: { readonly room: RoomRef; readonly events: readonly EncodedEvent[] }[] = [];
  #held: { readonly shard: number; readonly events: number }[] = [];
  /** By place; undefined: none runs there. */
  readonly #nodes: (Node | undefined)[];
  /** Undefined: the node is alone. */
  readonly #cluster: Cluster | undefined;
  readonly #late: LateAppends;
  /** Shards that two nodes own, as both believe. */
  #doubled: ReadonlySet<number> = new Set();
  /** Until when two nodes may believe so with reason. */
  #inDoubtUntilMs = Number.NEGATIVE_INFINITY;
  #isInDoubt = false;
  /** Shards by who owns them, as that node believes. */
  #owned: ReadonlyMap<string, number> = new Map();
  #wasSplit = false;
  #backup: MemorySnapshot | undefined;
  #violation: unknown;
  #ids = 0;
  #connections = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    const isCluster = options.nodes !== undefined;
    this.isBehind = options.behind === true || isCluster;
    this.#nodes = Array.from({ length: options.nodes ?? 1 }, () => undefined);
    this.engine = new MemoryEngine({
      shards: SHARDS,
      archivesOnAppend: !this.isBehind,
      leavesVoids: isCluster,
      maxBatchBytes: MAX_BATCH_BYTES,
    });
    this.chance = new Chance(options.seed);
    this.#gates = new Gates(this.chance);
    this.#conditions = { weather: this.weather, chance: this.chance, gates: this.#gates, coverage: this.coverage };
    this.#cluster = isCluster ? new Cluster(this.engine, this.time, this.#conditions) : undefined;
    this.#late = new LateAppends(this.engine, this.chance);
    this.#target = new SimulatedTarget(this.#conditions);
    this.#clientClock = this.time.clock();
    this.engine.faultOf = (shard, _at, batch) => this.#faultOf(shard, batch);
    this.engine.arrived = (arrival) => this.#appendArrived(arrival);
    for (const tenantId of TENANTS) this.#addServices(tenantId);
    for (const tenantId of TENANTS) {
      for (let user = 0; user < options.users; user++) {
        for (let device = 0; device < options.devices; device++) this.#addDevice(tenantId, `u${user}`, `d${device}`);
      }
    }
  }

  get isCluster(): boolean {
    return this.#cluster !== undefined;
  }

  /** Processes that run. */
  get nodes(): readonly Node[] {
    return this.#nodes.filter((node) => node !== undefined);
  }

  /** Places where none runs. */
  get places(): readonly number[] {
    return [...this.#nodes.entries()].flatMap(([place, node]) => (node === undefined ? [place] : []));
  }

  /** Any of them. */
  get #node(): Node | undefined {
    const { nodes } = this;
    return nodes.length > 1 ? this.chance.pick(nodes) : nodes[0];
  }

  get heldAnswers(): number {
    return this.#allGates.reduce((sum, { size }) => sum + size, 0);
  }

  /** Those of the processes that run, and of what is on its way between them. */
  get #allGates(): readonly Gates[] {
    return [...new Set([this.#gates, ...this.nodes.map(({ gates }) => gates)])];
  }

  readonly ids: Ids = {
    random: () => `random-${++this.#ids}`,
    digest: (text) => digest(text),
  };

  eventId = (tenantId: string, roomId: string, userId: string, key: string): string =>
    digest(`${tenantId}/${roomId}/${userId}/${key}`);

  #addServices(tenantId: string): void {
    const common = {
      caller: serviceOf(tenantId),
      coverage: this.coverage,
      trace: this.trace,
      clock: this.#clientClock,
      core: () => this.#node?.core,
      isLive: (core: Core) => this.nodes.some((node) => node.core === core),
      absorb: () => this.absorb(),
      violated: (cause: unknown) => this.violated(cause),
    };
    this.senders.push(
      new Sender({
        ...common,
        name: `${tenantId}.sender`,
        checker: this.checker,
        eventId: (roomId, user, key) => this.eventId(tenantId, roomId, user, key),
        inboxOf: (userId) => inboxRef(this.ids, tenantId, userId).roomId,
      }),
    );
    for (let tail = 0; tail < TAILS; tail++) {
      const name = `${tenantId}.tail${tail}`;
      this.tails.push(new TailReader({ ...common, name, chance: this.chance, records: this.tailRecords }));
    }
  }

  #addDevice(tenantId: string, userId: string, deviceId: string): void {
    const name = `${tenantId}.${userId}.${deviceId}`;
    this.devices.push(
      new Device({
        tenantId,
        userId,
        deviceId,
        chance: this.chance,
        checker: this.checker,
        markers: this.markers,
        coverage: this.coverage,
        trace: this.trace,
        clock: this.#clientClock,
        eventId: (roomId, user, key) => this.eventId(tenantId, roomId, user, key),
        begins: (device, change) => {
          const eventId = this.eventId(tenantId, change.roomId, userId, change.key);
          this.directs.begins(device, change, eventId);
          this.application.begins(tenantId, eventId, this.time.wallMs);
        },
        token: (fresh) => tokenText(this.#token(name, tenantId, userId, fresh)),
        connect: (device) => this.#connect(device),
      }),
    );
  }

  /** The device's token; a new one where it is asked for, was revoked or has expired. */
  #token(device: string, tenantId: string, userId: string, fresh: boolean): Token {
    const known = this.#tokens.get(device);
    const good = known !== undefined && (known.expiresAtMs === 0 || known.expiresAtMs > this.time.wallMs);
    if (known !== undefined && good && !fresh && !this.#revoked.has(known.tokenId)) return known;
    const expiresAtMs = this.chance.of(0.5) ? 0 : this.time.wallMs + this.chance.between(20, 400) * 1_000;
    const token = { tenantId, userId, tokenId: `token-${++this.#ids}`, expiresAtMs };
    this.#tokens.set(device, token);
    return token;
  }

  revokeToken(device: Device): void {
    const token = this.#tokens.get(device.name);
    if (token === undefined) return;
    for (const { verifier } of this.nodes) verifier.revoke(token.tenantId, token.tokenId);
  }

  #connect(device: Device): Link | number {
    const node = this.#node;
    const admission = node?.core.sessions.admit() ?? { admitted: false, retryAfterMs: 1_000 };
    if (node === undefined || !admission.admitted) {
      this.coverage.count("connections not admitted");
      return admission.admitted ? 1_000 : admission.retryAfterMs;
    }
    const before = this.#connected.get(device);
    if (before !== undefined && before !== node) this.coverage.count("devices on another node than before");
    this.#connected.set(device, node);
    const link: Link = new Link({
      name: `${device.name}#${++this.#connections}`,
      tenantId: device.tenantId,
      userId: device.userId,
      checker: this.checker,
      absorb: () => this.absorb(),
      window: this.chance.of(0.5) ? 1_024 : 64 * 1024,
      arrived: () => this.#arrived.set(link, device),
      refused: () => this.coverage.count("sinks that refused"),
      now: () => this.time.wallMs,
      shown: (roomKey, sinceMs) => this.application.requireShown(roomKey, device.userId, sinceMs),
      stale: () => this.coverage.count("stale answers of a shard with two owners"),
      marked: (roomKey, markers) => {
        this.markers.shown(roomKey, markers);
        if (markers.length > 0) this.coverage.count("marks told");
      },
      violated: (cause) => this.violated(cause),
    });
    if (this.chance.of(WIRED)) link.shared = { wire: node.wire, session: node.wire.join(link) };
    link.connection = node.core.sessions.accept(link, { transport: "in-process", address: "simulated" });
    return link;
  }

  // — the process —

  /** A process begins at a free place. */
  async start(place = this.places[0] ?? 0): Promise<void> {
    const clock = this.time.clock();
    const gates = this.#cluster === undefined ? this.#gates : new Gates(this.chance);
    const conditions = { ...this.#conditions, gates };
    const member = this.#cluster?.join(`n${place}`, clock, conditions);
    const { ports = this.engine } = member ?? {};
    const fanout = member?.fanout ?? new WeatheredFanout(this.engine.fanout, conditions);
    const verifier = new SimulatedVerifier(conditions, this.time, this.#revoked);
    const archive = new WeatheredArchive(ports.archive, conditions);
    const outlet: OutletWatch = { parked: 0 };
    const core = createCore({
      log: new WeatheredLog(ports.log, conditions),
      archive,
      directory: member?.directory ?? new EmbeddedSessionDirectory({ archive, clock }),
      fanout,
      verifier,
      clock,
      ids: this.ids,
      telemetry: this.#telemetry(outlet),
      limits: LIMITS,
      tenants: new TenantLimits(LIMITS),
      publishHook: {
        hook: this.application.publishHook(conditions, clock),
        failure: "closed",
        services: false,
        roomKinds: new Set(SAID_IN),
        bodies: undefined,
        tenants: new Set([GOVERNED_TENANT]),
      },
      accessHook: {
        hook: this.application.accessHook(conditions, clock),
        failure: "closed",
        roomKinds: new Set([RoomKind.CHANNEL]),
        tenants: new Set([GOVERNED_TENANT]),
      },
      load: () => this.load,
      outlets: {
        store: new WeatheredOutletStore(ports.outlets, conditions),
        events: [{ name: OUTLET, sink: this.#target.sink() }],
      },
      cluster: member && { placement: member.placement, peers: member.peers },
    });
    if (member !== undefined) this.#cluster?.serve(member, core.answerPeer);
    const wire = new SimulatedWire({
      chance: this.chance,
      clock: this.time.clock(),
      reached: (state) => this.coverage.count(state),
      violated: (cause) => this.violated(cause),
    });
    const node = { core, clock, fanout, verifier, gates, member, outlet, wire };
    // A process that cannot open its store does not start, and none does before it has read where it was.
    const { openFails, readHeld } = this.weather;
    Object.assign(this.weather, { openFails: 0, readHeld: 0 });
    const started = await core.start().then(
      () => true,
      (cause: unknown) => {
        const away = cause instanceof TrunklineError && cause.code === ErrorCode.UNAVAILABLE;
        if (!this.engine.archiveDown && !(this.isCluster && away)) throw cause;
        return false;
      },
    );
    Object.assign(this.weather, { openFails, readHeld });
    if (started) this.#nodes[place] = node;
    // What it had begun ends with it.
    else this.#end(node);
  }

  #telemetry(outlet: OutletWatch): Telemetry {
    const telemetry = new Telemetry();
    telemetry.on("fault", ({ where, cause }) => this.#failed(where, cause));
    telemetry.on("log.failed", ({ cause }) => this.#failed("the log", cause));
    telemetry.on("session.closed", ({ code }) => {
      // Whoever does not read seldom learns why.
      if (code === CloseCode.SLOW_CONSUMER) this.coverage.count("slow consumers closed");
    });
    telemetry.on("outlet.failed", ({ cause }) => this.#failed("the outlet", cause));
    telemetry.on("outlet.parked", ({ parked }) => {
      outlet.parked = parked;
      if (parked > 0) this.coverage.count("rooms set aside");
    });
    telemetry.on("session.lagging", () => this.coverage.count("sessions lagging"));
    return telemetry;
  }

  /** A process does nothing more. */
  #end(node: Node): void {
    const place = this.#nodes.indexOf(node);
    if (place >= 0) this.#nodes[place] = undefined;
    node.clock.end();
    node.wire.end();
    node.gates.forget();
    if (node.member === undefined) this.engine.crash();
    else this.#cluster?.end(node.member);
  }

  /** What the core calls a fault is one, unless the store was just away. */
  #failed(where: string, cause: unknown): void {
    if (cause instanceof TrunklineError && cause.code === ErrorCode.UNAVAILABLE) return;
    this.violated(new Violation("different", `a fault in ${where}: ${String(cause)}`));
  }

  violated(cause: unknown): void {
    this.#violation ??= cause;
  }

  /** All processes die. Frames that had left may still arrive. */
  crash(restored?: MemorySnapshot): void {
    for (const node of this.nodes) this.kill(node);
    // With nobody there it is a store that comes back.
    if (this.nodes.length === 0 && restored !== undefined) this.#restore(restored);
  }

  /** A process dies. */
  kill(node: Node): void {
    const devices = this.devices.filter((device) => device.link !== undefined && this.#connected.get(device) === node);
    if (devices.some((device) => (device.link?.unanswered ?? 0) > 0)) {
      this.coverage.count("crashes with requests unanswered");
    }
    this.absorb();
    if (!this.isCluster) this.#loseFanout();
    this.#end(node);
    if (!this.isCluster) {
      this.#held = [];
      this.#foreign = [];
    }
    for (const device of devices) {
      const { link } = device;
      if (link === undefined) continue;
      for (const arrival of link.take(this.chance.between(0, link.waiting))) device.arrive(arrival);
      device.link?.lose();
      if (device.link !== undefined) device.lost();
    }
    if (this.isCluster) for (const link of [...this.#arrived.keys()]) if (!link.open) this.#arrived.delete(link);
    if (!this.isCluster) this.#arrived.clear();
    for (const sender of this.senders) sender.lost(node.core);
    for (const tail of this.tails) tail.lost(node.core);
    this.markers.lost();
    this.engine.archiveDown = false;
  }

  #loseFanout(): void {
    for (const { fanout } of this.nodes) for (const [key, room] of fanout.lost) this.#untold.set(key, room);
  }

  // — several nodes —

  /** A process stands still, or goes on: time passes meanwhile, and what is asked of it is answered as if it did not know. */
  pause(node: Node): void {
    node.clock.paused = !node.clock.paused;
    if (node.clock.paused) this.coverage.count("nodes paused");
  }

  moveShards(): void {
    this.#cluster?.moveShards();
    this.coverage.count("shards moved");
  }

  emptyStore(): void {
    this.#cluster?.emptyStore();
    // A node that does not reach the store believes in its leases for as long as they last, whoever is given them anew.
    this.#inDoubtUntilMs = this.time.nowMs + IN_DOUBT_MS;
    this.coverage.count("stores of leases emptied");
  }

  /** A node loses the leases out of reach, or reaches them again. */
  displace({ member }: Node): void {
    if (member !== undefined) this.#cluster?.place(member, !this.#cluster.isPlaced(member));
  }

  /** Two nodes do not reach each other any more, or do again. */
  part(one: Node, other: Node): void {
    if (one.member !== undefined && other.member !== undefined && one !== other) {
      this.#cluster?.cut(one.member, other.member);
    }
  }

  /** A node hears no announcements any more, or is told that it has missed some. */
  deafen({ member }: Node): void {
    if (member?.fanout.isCut === true) member.fanout.mend();
    else member?.fanout.cut();
  }

  /** Some nodes follow another store of leases than the others, or all one again. */
  splitLeases(): void {
    this.#cluster?.splitLeases();
    this.noteLeases();
  }

  rollBackLeases(): void {
    this.#cluster?.rollBackLeases();
    // Whoever was not known then may hold what is given to another now.
    this.#inDoubtUntilMs = this.time.nowMs + IN_DOUBT_MS;
    this.noteLeases();
  }

  /** Appends that have been under way for long come to the log: some. */
  letLateAppendsCome(): void {
    this.#late.step();
  }

  /** A process that owns a shard to which an append is under way, if there is one. */
  get busyNode(): Node | undefined {
    return this.nodes.find((node) => this.#held.some(({ shard }) => isOwner(node, shard)));
  }

  /** A process that owns a shard, and can be reached. */
  get ownerOfHotRoom(): { readonly node: Node; readonly roomId: string; readonly tenantId: string } | undefined {
    for (let tries = 0; tries < 8; tries++) {
      const tenantId = this.chance.pick(TENANTS);
      const roomId = `r${this.chance.below(this.options.hotRooms)}`;
      const shard = shardOf(`${tenantId}/${roomId}`, SHARDS);
      const node = this.nodes.find((each) => isOwner(each, shard) && !each.clock.paused);
      if (node !== undefined) return { node, roomId, tenantId };
    }
    return undefined;
  }

  /** Devices that are connected to the process, or to others. */
  devicesAt(node: Node, here: boolean): readonly Device[] {
    return this.devices.filter((device) => device.live && (this.#connected.get(device) === node) === here);
  }

  /** What nodes cannot reach they reach again. */
  mendCluster(): void {
    this.#cluster?.mend();
  }

  /** Until nobody has reason to take a shard for theirs that is another's. */
  async passDoubts(): Promise<void> {
    this.noteLeases();
    if (this.#isInDoubt) await this.pass(this.#inDoubtUntilMs - this.time.nowMs + 1, true);
  }

  /** Notes what nodes believe of their shards. */
  noteLeases(): void {
    const doubled = new Set<number>();
    const owned = new Map<string, number>();
    const owners = ALL_SHARDS.map(() => 0);
    for (const { core, member, clock } of this.nodes) {
      if (member === undefined) continue;
      for (const { shard, is } of core.shards()) {
        if (is !== "open") continue;
        if (member.placement.holds(shard)) {
          owned.set(`${member.id} ${shard}`, shard);
          owners[shard] = (owners[shard] ?? 0) + 1;
        } else if (clock.paused) this.coverage.count("nodes paused beyond their leases");
      }
    }
    for (const [shard, count] of owners.entries()) {
      if (count < 2) continue;
      doubled.add(shard);
      if (!this.#doubled.has(shard)) this.coverage.count("shards with two owners");
    }
    this.#doubled = doubled;
    const isSplit = this.#cluster?.areLeasesSplit === true;
    // Who has followed the one that is forgotten believes in its leases until they are over.
    if (isSplit || this.#wasSplit) this.#inDoubtUntilMs = this.time.nowMs + IN_DOUBT_MS;
    this.#wasSplit = isSplit;
    this.#isInDoubt = this.time.nowMs <= this.#inDoubtUntilMs;
    this.checker.inDoubt = this.#isInDoubt;
    // What an owner had not stored of markers when it lost a shard is lost with it, and so is what one of two owners counts.
    for (const [owner, shard] of this.#owned) if (!owned.has(owner)) this.markers.lost(isOfShard(shard));
    if (this.#isInDoubt) this.markers.lost();
    this.#owned = owned;
  }

  #appendArrived({ shard, stored, isGivenUp, isOvertaken, isBeforeFirst }: Arrival): void {
    const { coverage } = this;
    if (stored && this.#doubled.has(shard)) coverage.count("events of a shard with two owners");
    if (isGivenUp) coverage.count(stored ? "appends given up, and stored" : "appends given up, and void");
    if (!isOvertaken) return;
    coverage.count("appends overtaken by another owner");
    if (isBeforeFirst) coverage.count("appends between a barrier and its owner's first event");
  }

  takeBackup(): void {
    this.#backup = this.engine.snapshot();
  }

  get backup(): MemorySnapshot | undefined {
    return this.#backup;
  }

  #restore(backup: MemorySnapshot): void {
    this.engine.restore(backup);
    this.#target.restored();
    this.#targetSince = this.engine.state.shards.map(({ entries }) => entries.length);
    const events: [string, RoomEvent][] = [];
    for (const [shard, { entries }] of this.engine.state.shards.entries()) {
      this.#absorbed[shard] = entries.length;
      for (const { tenantId, roomId, event } of entries) {
        if (event !== undefined) events.push([`${tenantId}/${roomId}`, fromBinary(RoomEventSchema, event.bytes)]);
      }
    }
    const purged = new Map<string, number>();
    for (const [key, { purgedSeq }] of this.engine.state.rooms) purged.set(key, purgedSeq);
    this.checker.restored(events, purged);
    for (const tail of this.tails) tail.restored();
    this.markers.restored();
  }

  /** A process leaves; without one, that which is alone. */
  async drain(node = this.nodes[0]): Promise<void> {
    if (node === undefined) return;
    node.clock.paused = false;
    const drained = node.core.drain(3_000);
    let done = false;
    void drained.then(() => {
      done = true;
    });
    this.#openAllGates();
    const untilMs = this.time.nowMs + HEALING_MS;
    await this.settle();
    while (!done) {
      if (this.time.nowMs >= untilMs) throw new Violation("not answered", "a drain that does not end");
      this.#openAllGates();
      await this.pass(100);
    }
    await this.settle();
    let stopped = false;
    void node.core.stop().then(() => {
      stopped = true;
    });
    await this.settle();
    while (!stopped) {
      if (this.time.nowMs >= untilMs) throw new Violation("not answered", "a stop that does not end");
      this.#openAllGates();
      await this.pass(100);
    }
    await this.settle();
    if (node.clock.pending > 0) throw new Violation("grown", `${node.clock.pending} timers outlive the core`);
    if (node.fanout.subscriptions > 0) throw new Violation("grown", "fan-out subscriptions outlive the core");
    this.kill(node);
  }

  #openAllGates(): void {
    for (const gates of this.#allGates) gates.openAll();
  }

  // — the store —

  #faultOf(shard: number, batch: AppendBatch): AppendFault | undefined {
    const { chance, coverage } = this;
    if (batch.records.length > 1) coverage.count("appends of several events");
    if (!chance.of(this.weather.appendFault)) {
      coverage.count("appends durable");
      return undefined;
    }
    switch (chance.below(6)) {
      case 0:
        coverage.count("appends refused");
        return { kind: "refuse" };
      case 1:
        coverage.count("appends stored but not answered");
        return { kind: "lose-answer" };
      case 2:
        coverage.count("appends displaced by nobody");
        return { kind: "displace" };
      case 3: {
        // Among several nodes nobody writes who has not opened the shard.
        if (this.isCluster) {
          coverage.count("appends not waited for");
          return { kind: "late", until: this.#late.hold(shard) };
        }
        const room = chance.pick(batch.records).room;
        const by = foreignBatch(this.engine, room, `foreign-${++this.#ids}`, this.time.wallMs);
        if (by === undefined) return { kind: "displace" };
        coverage.count("appends displaced by a foreign event");
        this.#foreign.push({ room, events: by.records.map(({ event }) => event) });
        return { kind: "displace", by };
      }
      default: {
        coverage.count("appends held");
        const held = { shard, events: batch.records.length };
        this.#held.push(held);
        const gate = this.isCluster && chance.of(HELD_FOR_LONG) ? this.#late.hold(shard) : this.#gates.hold();
        const until = gate.then(() => {
          this.#held = this.#held.filter((other) => other !== held);
        });
        return { kind: "hold", until };
      }
    }
  }

  /** Another process takes a shard over while an append to it is under way. */
  async takeShard(): Promise<void> {
    const [held] = this.#held;
    if (held === undefined) return;
    const waiting = this.devices.reduce((sum, { tenantId, changes }) => {
      const shards = [...changes.values()].map(({ roomId }) => shardOf(`${tenantId}/${roomId}`, SHARDS));
      return sum + shards.filter((shard) => shard === held.shard).length;
    }, 0);
    if (waiting > held.events) this.coverage.count("appends held, then displaced, with commands waiting");
    await this.engine.nodeLog().open(held.shard);
    this.#openAllGates();
  }

  /** Whether every follower has come past a room's events up to this one. */
  isFollowed(room: RoomRef, through: number): boolean {
    const shard = shardOf(room.key, SHARDS);
    const { shards, followed } = this.engine.state;
    const last = shards[shard]?.entries.findLast(({ tenantId, roomId, event }) => {
      return event !== undefined && event.seq <= through && roomId === room.roomId && tenantId === room.tenantId;
    });
    // Nothing is removed that the archive does not have.
    if (last !== undefined && (shards[shard]?.archived ?? 0) <= last.offset) return false;
    const places = [...followed].flatMap(([key, place]) => (key.startsWith(`${shard}/`) ? [place] : []));
    return last === undefined || places.every((place) => place > last.offset);
  }

  /** Retention: what is older is no longer kept. */
  async purge(room: RoomRef, through: number): Promise<void> {
    this.checker.purged(room.key, through);
    await this.engine.archive.purge(room, through);
  }

  /** Tells the checker what the log has got. */
  absorb(): void {
    try {
      for (const [shard, { entries }] of this.engine.state.shards.entries()) {
        for (let at = this.#absorbed[shard] ?? 0; at < entries.length; at++) {
          this.#absorbed[shard] = at + 1;
          const entry = entries[at];
          if (entry?.event === undefined) continue;
          const event = fromBinary(RoomEventSchema, entry.event.bytes);
          const roomKey = `${entry.tenantId}/${entry.roomId}`;
          this.application.logged(this.checker.room(roomKey), event);
          this.checker.logged(roomKey, event);
        }
      }
    } catch (cause) {
      this.violated(cause);
    }
  }

  // — turns and time —

  openGate(): void {
    const held = this.#allGates.filter(({ size }) => size > 0);
    (held.length > 1 ? this.chance.pick(held) : held[0])?.openOne();
  }

  /** Lets everything happen that happens without time passing. `lazy`: frames and what is due soon may stay where they are. */
  async settle(lazy = false): Promise<void> {
    for (let round = 0; round < 10_000; round++) {
      await macrotask();
      this.#announceForeign();
      if (this.#violation !== undefined) throw this.#violation;
      if (!(lazy && this.chance.of(0.2)) && this.#runSoon()) continue;
      if (this.#deliver(lazy)) continue;
      this.absorb();
      if (this.#violation !== undefined) throw this.#violation;
      return;
    }
    throw new Violation("not healed", "turns without an end");
  }

  #runSoon(): boolean {
    let ran = false;
    for (const { clock } of this.nodes) if (clock.runSoon()) ran = true;
    return ran;
  }

  #announceForeign(): void {
    const foreign = this.#foreign;
    this.#foreign = [];
    for (const { room, events } of foreign) {
      if (this.#cluster !== undefined) this.#cluster.bus.publish(undefined, room, { is: "events", events });
      else this.nodes[0]?.fanout.announce(room, events);
    }
  }

  /** Announcements that were delayed arrive: some. Returns whether there were any. */
  arrive(): boolean {
    if (this.#cluster !== undefined) return this.#cluster.bus.arrive();
    const fanout = this.nodes[0]?.fanout;
    return fanout instanceof WeatheredFanout && fanout.arrive();
  }

  #deliver(lazy: boolean): boolean {
    let delivered = false;
    for (const [link, device] of [...this.#arrived]) {
      if (device.link !== link) {
        this.#abandoned(link);
        continue;
      }
      if (device.stalled || (lazy && this.chance.of(0.1))) continue;
      this.#arrived.delete(link);
      const some = lazy && this.chance.of(0.1) ? this.chance.between(1, link.waiting) : link.waiting;
      for (const arrival of link.take(some)) {
        if (arrival.is === "frame" && arrival.frame.frame.case === "roomEvents") {
          this.deliveries += arrival.frame.frame.value.events.length;
        }
        if (device.link === link) device.arrive(arrival);
      }
      if (link.waiting > 0) this.#arrived.set(link, device);
      delivered = true;
    }
    return delivered;
  }

  /** A connection that its device has given up without closing it. */
  #abandoned(link: Link): void {
    this.#arrived.delete(link);
    for (const arrival of link.take(link.waiting)) {
      if (arrival.is !== "end") continue;
      if (arrival.code === CloseCode.REPLACED) this.coverage.count("devices replaced");
      link.cut(true);
    }
  }

  async pass(milliseconds: number, lazy = false): Promise<void> {
    const untilMs = this.time.nowMs + milliseconds;
    while (this.time.step(untilMs)) {
      await this.settle(lazy);
      if (this.isCluster) this.noteLeases();
    }
  }

  // — rooms —

  /** The rooms of the beginning, each with an owner and some members. */
  async createRooms(): Promise<void> {
    for (const tenantId of TENANTS) {
      for (let room = 0; room < this.options.rooms; room++) {
        const hot = room < this.options.hotRooms;
        const owner = `u${this.chance.below(this.options.users)}`;
        const count = hot ? this.options.users : 4;
        const members = Array.from({ length: Math.min(count, 90) }, (_, index) => ({
          userId: `u${hot ? index : this.chance.below(this.options.users)}`,
        }));
        void this.#node?.core.rooms.call(
          { identity: identityOf(tenantId, owner), deviceId: "" },
          {
            case: "createRoom",
            value: create(CreateRoomRequestSchema, {
              roomId: `r${room}`,
              key: "create",
              kind: this.chance.of(0.2) ? RoomKind.CHANNEL : RoomKind.GROUP,
              joinRule: this.chance.of(0.5) ? JoinRule.OPEN : JoinRule.INVITE,
              members: [...new Map(members.map((member) => [member.userId, member])).values()],
            }),
          },
        );
        if (room % 100 === 0) await this.settle();
      }
      this.#createAnnouncements(tenantId);
    }
    await this.settle();
  }

  /** Some users are given a role there, and may give others one. */
  #createAnnouncements(tenantId: string): void {
    const caller = administratorOf(tenantId);
    const roomId = "~announcements";
    const made = create(CreateRoomRequestSchema, { roomId, key: "create" });
    const members = [Role.ADMIN, Role.ADMIN, Role.MEMBER].map((role, user) => ({ userId: `u${user}`, role }));
    const added = create(AddMembersRequestSchema, { roomId, key: "add", members });
    const { rooms } = this.#node?.core ?? {};
    rooms
      ?.call(caller, { case: "createRoom", value: made })
      .then(() => rooms.call(caller, { case: "addMembers", value: added }))
      .catch((cause: unknown) => this.trace.note(`no announcements of ${tenantId}: ${String(cause)}`));
  }

  // — healing —

  /** Before a calm: of what several nodes announce to each other much is lost. */
  storm(): void {
    if (this.isCluster) this.weather.announcementLost = LOST_IN_STORM;
  }

  /** Everything is mended, everybody comes back, and all must be well. */
  async calm(): Promise<void> {
    this.coverage.count("calms");
    Object.assign(this.weather, FAIR);
    this.load = 0;
    this.engine.archiveDown = false;
    this.#cluster?.mend();
    for (const { clock } of this.nodes) clock.paused = false;
    this.noteLeases();
    this.#late.all();
    this.#openAllGates();
    for (const place of this.places) await this.start(place);
    for (const device of this.devices) {
      device.stalled = false;
      device.diligent = true;
      if (device.wanted && device.link === undefined) device.connect();
    }
    for (const tail of this.tails) {
      tail.resume();
      tail.connect();
    }
    while (this.arrive()) await this.settle();
    await this.#heal(() => this.#wronglyRead.length === 0, "read by whom the application lets read");
    await this.#heal(() => this.senders.every(({ quiet }) => quiet), "sent");
    await this.#heal(() => this.devices.every((device) => !device.wanted || device.quiet), "quiet");
    await this.#tellUntold();
    await this.#heal(() => this.devices.every((device) => !device.wanted || device.quiet), "quiet");
    if (this.isCluster) await this.#whisper();
    await this.#heal(() => this.devices.every((device) => !device.wanted || device.quiet), "quiet");
    await this.#heal(() => this.#followed, "followed");
    await this.#heal(() => this.#handedOver, "handed over", OUTLET_HEALING_MS);
    await this.#heal(() => this.devices.every((device) => !device.wanted || device.quiet), "quiet");
    await this.#heal(() => this.#tailed, "tailed");
    await this.#heal(() => this.devices.every((device) => this.#seenWrongly(device) === undefined), "seen as they are");
    // A follower that has failed lately waits for its next try.
    await this.#heal(() => this.nodes.every((node) => this.#isAtRest(node)), "at rest");
    this.#requireHealed();
    for (let told = this.checker.toldInInboxes(); told > 0; told--) this.coverage.count("mentions told, as of a calm");
    for (const [shard, { entries }] of this.engine.state.shards.entries()) {
      this.#target.requireAll(entries.slice(this.#targetSince[shard]));
    }
    await this.#requireKept();
    await this.#requireMarked();
    await this.#requirePresent();
    await requireThreads(this);
  }

  /** What a user is answered by some node, while nothing else happens. */
  async ask(tenantId: string, userId: string, request: RoomRequest): Promise<RoomResponse | undefined> {
    const asking = this.#node?.core.rooms.call({ identity: identityOf(tenantId, userId), deviceId: "" }, request);
    await this.settle();
    return await asking;
  }

  /** A service sees every user as the strongest of what their devices have chosen. */
  async #requirePresent(): Promise<void> {
    for (const tenantId of TENANTS) {
      const devices = Map.groupBy(
        this.devices.filter((device) => device.tenantId === tenantId),
        ({ userId }) => userId,
      );
      const userIds = [...devices.keys()];
      const asking = this.#node?.core.presence.getPresence(
        serviceOf(tenantId),
        create(GetPresenceRequestSchema, { userIds }),
      );
      await this.settle();
      for (const { userId, status } of (await asking)?.presences ?? []) {
        requirePresence(`${tenantId}/${userId}`, devices.get(userId) ?? [], status);
        this.coverage.count("presence compared");
      }
    }
  }

  /** Some users are told how far they are and what they have not read. */
  async #requireMarked(): Promise<void> {
    this.markers.settled();
    for (let asked = 0; asked < USERS_ASKED; asked++) {
      const { tenantId, userId } = this.chance.pick(this.devices);
      const value = create(ListRoomsRequestSchema, { pageSize: 50 });
      const answer = await this.ask(tenantId, userId, { case: "listRooms", value });
      if (answer?.case !== "listRooms") throw new Violation("not answered", `the rooms of ${tenantId}/${userId}`);
      for (const { room, marker, unreadCount } of answer.value.rooms) {
        this.markers.stands(`${tenantId}/${room?.roomId}`, userId, { marker, unreadCount });
        this.coverage.count("unread counts compared");
      }
    }
  }

  /** Whether every reader of a tail has all that it is to see. */
  get #tailed(): boolean {
    return this.tails.every(({ name }) => this.tailRecords.missing(name) === undefined);
  }

  /** Who reads live what the application does not let them read. */
  get #wronglyRead(): readonly string[] {
    return this.devices.flatMap((device) => {
      const live = [...device.rooms.values()].filter(({ state }) => device.live && state === "live");
      const wrong = live.filter(({ roomId }) => !this.application.admits(refOf(device, roomId).key, device.userId));
      return wrong.map(({ roomId }) => `${device.name} reads ${roomId}`);
    });
  }

  #seenWrongly(device: Device): string | undefined {
    if (!device.watching.isEmpty && device.live) this.coverage.count("watches compared");
    return seenWrongly(this.checker, this.devices, device);
  }

  /** Whether everything in the log has had its effects. */
  get #followed(): boolean {
    return this.engine.state.shards.every(({ entries }, shard) => {
      const last = entries.findLast(({ event, purged }) => event !== undefined && purged !== true);
      return last === undefined || (this.engine.state.followed.get(`${shard}/inbox`) ?? 0) > last.offset;
    });
  }

  /** Whether the outlet has come to the end of the log, and has nothing set aside. */
  get #handedOver(): boolean {
    const { shards, followed } = this.engine.state;
    const name = `events.${OUTLET}`;
    // One that has lost a shard may keep a room as set aside which the next owner has read of by itself.
    if (this.nodes.some(({ outlet }) => outlet.parked > 0)) return false;
    return shards.every(({ entries }, shard) => {
      const last = entries.findLast(({ event, purged }) => event !== undefined && purged !== true);
      return last === undefined || (followed.get(`${shard}/${name}`) ?? 0) > last.offset;
    });
  }

  /** Users read their settings as they last were, and no message that they have hidden. */
  async #requireKept(): Promise<void> {
    for (const [key, { user }] of this.checker.inboxes) {
      const tenantId = key.slice(0, key.indexOf("/"));
      if (user === undefined) continue;
      const value = create(GetSettingsRequestSchema);
      const settings = await this.ask(tenantId, user.userId, { case: "getSettings", value });
      if (settings?.case !== "getSettings") throw new Violation("not answered", `settings of ${key}`);
      const read = settings.value.settings.map((each) => [
        each.key,
        { value: textOf(each.value), version: each.version },
      ]);
      const logged = [...user.settings].sort(([a], [b]) => (a < b ? -1 : 1));
      if (JSON.stringify(read) !== JSON.stringify(logged)) throw new Violation("different", `settings of ${key}`);
      for (const [roomId, hidden] of user.hidden) {
        const room = this.checker.room(`${tenantId}/${roomId}`);
        if (!room.mayRead(user.userId, room.top) || !this.application.admits(room.key, user.userId)) continue;
        const beforeIndex = Math.max(...hidden) + 1;
        const value = create(GetHistoryRequestSchema, {
          roomId,
          limit: 50,
          from: { case: "beforeIndex", value: beforeIndex },
        });
        const history = await this.ask(tenantId, user.userId, { case: "getHistory", value });
        if (history?.case !== "getHistory") throw new Violation("not answered", `history of ${roomId}`);
        const shown = history.value.messages.find(({ messageIndex }) => hidden.has(messageIndex));
        if (shown !== undefined)
          throw new Violation("not permitted", `${key} has hidden ${shown.messageIndex} of ${roomId}`);
        this.checker.history(`${tenantId}/${roomId}`, user.userId, placeOf(history.value.asOf), history.value.messages);
      }
    }
  }

  async #heal(healed: () => boolean, what: string, withinMs = HEALING_MS): Promise<void> {
    const untilMs = this.time.nowMs + withinMs;
    // What was collected for a moment has left by then.
    await this.pass(1_000);
    await this.settle();
    for (;;) {
      if (healed()) return;
      if (this.time.nowMs >= untilMs) {
        const late = this.devices.filter((device) => device.wanted && !device.quiet);
        const behind = this.tails.flatMap(({ name }) => this.tailRecords.missing(name) ?? []);
        const wrong = this.devices.flatMap((device) => this.#seenWrongly(device) ?? []);
        const timers = `${this.nodes.map(({ clock }) => clock.pending).join()} timers`;
        throw new Violation(
          "not healed",
          `not ${what}: ${[timers, ...late.map((device) => device.describe()), ...behind, ...wrong, ...this.#wronglyRead].join("; ")}`,
        );
      }
      this.#openAllGates();
      await this.pass(250);
      await this.settle();
    }
  }

  /** The embedded fan-out loses nothing; where this one did, the next event brings to light what was missed. */
  async #tellUntold(): Promise<void> {
    this.#loseFanout();
    for (const { fanout } of this.nodes) fanout.forget();
    for (const [key, ref] of this.#untold) {
      if (this.checker.room(key).isGone) {
        for (const device of this.devices) if (device.tenantId === ref.tenantId) device.unsubscribe(ref.roomId);
        continue;
      }
      if (this.checker.room(key).top === 0) continue;
      const { user } = this.checker.room(key);
      if (user !== undefined) {
        const settings = [{ key: "calm", value: new TextEncoder().encode(String(++this.#ids)) }];
        void this.#node?.core.rooms.call(
          { identity: identityOf(ref.tenantId, user.userId), deviceId: "" },
          { case: "setSettings", value: create(SetSettingsRequestSchema, { settings, key: `calm-${this.#ids}` }) },
        );
        continue;
      }
      void this.#node?.core.rooms.call(administratorOf(ref.tenantId), {
        case: "updateRoom",
        value: create(UpdateRoomRequestSchema, { roomId: ref.roomId, key: `calm-${++this.#ids}`, attempt: 1 }),
      });
    }
    this.#untold.clear();
  }

  /** Of some rooms the last event is announced to nobody on another node, and nothing is said after it. */
  async #whisper(): Promise<void> {
    this.weather.announcementLost = 1;
    for (let rooms = 0; rooms < WHISPERS; rooms++) {
      const device = this.chance.pick(this.devices);
      const roomId = `r${this.chance.below(this.options.hotRooms)}`;
      if (device.live && device.rooms.get(roomId)?.state === "live") device.publish(roomId);
    }
    await this.pass(WHISPER_MS);
    this.weather.announcementLost = 0;
  }

  #isAtRest(node: Node): boolean {
    const { pending } = node.clock;
    if (this.isCluster) return pending <= RESTING_TIMERS_OF_ONE_OF_SEVERAL;
    // Who watches others is looked after now and then.
    const watching = this.devices.some(({ live, watching: { isEmpty } }) => live && !isEmpty);
    return pending === RESTING_TIMERS || (pending === RESTING_TIMERS + 1 && watching);
  }

  #requireAtRest(node: Node): void {
    // Rooms, and the inboxes of whoever is there.
    const subscribed = new Set<string>();
    for (const device of this.devices) {
      if (!device.live || this.#connected.get(device) !== node) continue;
      subscribed.add(`inbox of ${device.tenantId}/${device.userId}`);
      for (const { roomId, state, position } of device.rooms.values()) {
        if (state !== "live" || position === undefined) continue;
        subscribed.add(`${device.tenantId}/${roomId}`);
        const { root } = this.checker.room(`${device.tenantId}/${roomId}`);
        if (root !== undefined) subscribed.add(`members of ${root.key}`);
        this.checker.healed(device.name, `${device.tenantId}/${roomId}`, position);
      }
    }
    if (node.fanout.subscriptions !== subscribed.size) {
      const counts = `${node.fanout.subscriptions} rooms listened to, ${subscribed.size} subscribed`;
      throw new Violation("grown", counts);
    }
    if (!this.#isAtRest(node)) throw new Violation("grown", `${node.clock.pending} timers at rest`);
  }

  #requireHealed(): void {
    if (this.nodes.length === 0) throw new Violation("not healed", "no process runs");
    for (const node of this.nodes) this.#requireAtRest(node);
    for (const [key, room] of this.engine.state.rooms) {
      const events = eventsOf(room).map(({ bytes }) => fromBinary(RoomEventSchema, bytes));
      this.checker.stored(key, events);
    }
  }
}

/** Whether the process takes itself for the shard's owner, and has opened it. */
function isOwner(node: Node, shard: number): boolean {
  return node.member?.placement.holds(shard) === true && hasOpened(node, shard);
}

function isOfShard(shard: number): (roomKey: string) => boolean {
  return (roomKey) => shardOf(roomKey, SHARDS) === shard;
}

function hasOpened({ core }: Node, shard: number): boolean {
  return core.shards()[shard]?.is === "open";
}

export function identityOf(tenantId: string, userId: string): Identity {
  return { tenantId, userId, displayName: userId, grants: new Set(), expiresAtMs: undefined, tokenId: "" };
}

function serviceOf(tenantId: string): Caller {
  return { identity: { ...identityOf(tenantId, SERVICE), grants: new Set(["service"]) }, deviceId: "" };
}

function administratorOf(tenantId: string): Caller {
  return { identity: { ...identityOf(tenantId, ADMINISTRATOR), grants: new Set(["admin"]) }, deviceId: "" };
}

export function refOf(device: Device, roomId: string): RoomRef {
  return roomRef(device.tenantId, roomId);
}

/** 22 characters that hardly ever collide: enough where nobody attacks. */
function digest(text: string): string {
  let one = 0x811c9dc5;
  let other = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    one = Math.imul(one ^ text.charCodeAt(i), 0x01000193);
    other = Math.imul(other ^ text.charCodeAt(i), 0x85ebca6b);
    other ^= other >>> 13;
  }
  return `${(one >>> 0).toString(36)}_${(other >>> 0).toString(36)}_${text.length.toString(36)}`.padEnd(22, "-");
}
