// How many rooms each tenant has, where that is limited: read from the archive once, then kept by what this node makes and deletes.
//
// What is kept is never less than there are, as far as this node can know: a room counts from the turn that makes it, one that is deleted
// until that is durable, and where nobody can say whether a count has seen a change already, the room counts. Such a count is read again
// before anybody is refused for it, as it is now and then for what other nodes have done. What this node's shards have stored is in the archive
// before it is counted there; what other nodes have made since they last archived may be missed until the next count.

import type { TrunklineError } from "../../ports/error.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import type { EventKind } from "../room/command.js";
import { isInbox } from "../room/inbox.js";
import { unavailable } from "../room/unavailable.js";
import { quotaRefusal } from "./quota.js";

/** How old a count may be before it is read again, in milliseconds; longer, where it took long: so many times as long. */
const RECOUNT_MS = 60_000;
const RECOUNT_TIMES = 100;
/** The same of one that may be too high, where somebody would be refused for it; never longer than any other. */
const DOUBTFUL_MS = 1_000;
const DOUBTFUL_TIMES = 10;
/** A count that nobody has asked for so long is forgotten, in milliseconds. */
const IDLE_MS = 10 * 60_000;

/** The rooms of one tenant. */
interface Tally {
  /** Not fewer than are durable. Undefined: not counted yet. */
  durable: number | undefined;
  /** Made, and not durable yet. */
  making: number;
  /** Whether `durable` may be too high. */
  doubtful: boolean;
  /** Which count it is of, when that was answered, monotonic, and how long it took, in milliseconds. */
  count: number;
  countedAtMs: number;
  tookMs: number;
  /** The count under way, and what has become durable since the last one began. */
  counting: Promise<void> | undefined;
  madeMeanwhile: number;
  changedMeanwhile: boolean;
  usedAtMs: number;
}

/** A room that was made or deleted by a turn, and which count was the last then; 0: none. */
interface Change {
  readonly tenantId: string;
  readonly made: boolean;
  readonly count: number;
}

interface Dependencies extends Pick<CoreDependencies, "archive" | "clock" | "log" | "telemetry" | "tenants"> {
  /** Undefined: this node alone makes rooms. */
  readonly cluster?: unknown;
}

export class TenantRooms {
  readonly #deps: Dependencies;
  readonly #tallies = new Map<string, Tally>();
  /** By shard, in the order of their turns: what is not durable yet. */
  readonly #underWay: readonly Change[][];
  readonly #archived: () => PromiseLike<unknown> | undefined;
  #counts = 0;

  /** `archived` resolves once all that is durable by now in this node's shards is archived; undefined: it is. */
  constructor(deps: Dependencies, archived: () => PromiseLike<unknown> | undefined = () => undefined) {
    this.#deps = deps;
    this.#archived = archived;
    this.#underWay = Array.from({ length: deps.log.shards }, () => []);
  }

  /** How many tenants' counts are remembered. */
  get size(): number {
    return this.#tallies.size;
  }

  /** Before a turn that makes a room of the tenant: resolves once there is a count to judge it on; undefined: there is. */
  ready(tenantId: string): PromiseLike<void> | undefined {
    const limit = this.#limit(tenantId);
    if (limit === 0) return undefined;
    const nowMs = this.#deps.clock.monotonic();
    const tally = this.#tallies.get(tenantId) ?? this.#begin(tenantId);
    tally.usedAtMs = nowMs;
    if (tally.durable === undefined) return this.#count(tenantId, tally);
    const full = tally.durable + tally.making >= limit;
    if (nowMs - tally.countedAtMs < holdsForMs(tally, full)) return undefined;
    const counting = this.#count(tenantId, tally);
    // Where there is place, nobody waits to know better, unless others make rooms too.
    return full || this.#deps.cluster !== undefined ? counting : undefined;
  }

  /** In the turn that would make a room of the tenant: LIMIT_EXCEEDED where there is no place. Throws UNAVAILABLE where it was not `ready`. */
  refusal({ tenantId }: RoomRef): TrunklineError | undefined {
    const limit = this.#limit(tenantId);
    if (limit === 0) return undefined;
    const tally = this.#tallies.get(tenantId);
    if (tally?.durable === undefined) throw unavailable("the tenant's rooms are being counted");
    const current = tally.durable + tally.making;
    if (current < limit) return undefined;
    const message = "the tenant would have too many rooms";
    return quotaRefusal(this.#deps.telemetry, tenantId, "rooms_per_tenant", { message, limit, current });
  }

  /** A turn has made these events of a room. */
  accepted(shard: number, room: RoomRef, kinds: readonly EventKind[]): void {
    for (const kind of kinds) {
      if (!isCounted(room, kind)) continue;
      const { tenantId } = room;
      const tally = this.#tallies.get(tenantId);
      const made = kind.case === "roomCreated";
      if (made && tally !== undefined) tally.making++;
      this.#underWay[shard]?.push({ tenantId, made, count: tally?.count ?? 0 });
    }
  }

  /** Events of a shard have become durable; none: its log was opened, and of what was under way nobody has said whether it is stored. */
  appended(shard: number, records: readonly NewRecord[]): void {
    const underWay = this.#underWay[shard];
    if (underWay === undefined || underWay.length === 0) return;
    if (records.length === 0) {
      for (const change of underWay.splice(0)) this.#settle(change, false);
      return;
    }
    const stored = records.filter(({ room, event }) => isCounted(room, event.event.kind));
    for (const change of underWay.splice(0, stored.length)) this.#settle(change, true);
  }

  /** Forgets the counts that nobody asks for. Called now and then. */
  sweep(): void {
    const nowMs = this.#deps.clock.monotonic();
    for (const [tenantId, { usedAtMs }] of this.#tallies) {
      if (nowMs - usedAtMs > IDLE_MS) this.#tallies.delete(tenantId);
    }
  }

  #limit(tenantId: string): number {
    return this.#deps.tenants.of(tenantId).maxRoomsPerTenant;
  }

  #begin(tenantId: string): Tally {
    const tally: Tally = {
      durable: undefined,
      making: this.#underWay.flat().filter((change) => change.made && change.tenantId === tenantId).length,
      doubtful: false,
      count: 0,
      countedAtMs: 0,
      tookMs: 0,
      counting: undefined,
      madeMeanwhile: 0,
      changedMeanwhile: false,
      usedAtMs: 0,
    };
    this.#tallies.set(tenantId, tally);
    return tally;
  }

  /** `stored`: certainly; else it may be. */
  #settle({ tenantId, made, count }: Change, stored: boolean): void {
    const tally = this.#tallies.get(tenantId);
    if (tally === undefined) return;
    if (made) tally.making--;
    // A count that was read while the change was under way may have seen it, or not.
    const certain = stored && tally.count === count;
    if (!certain) tally.doubtful = true;
    tally.changedMeanwhile = true;
    if (made) tally.madeMeanwhile++;
    if (tally.durable === undefined) return;
    if (made) tally.durable++;
    else if (certain) tally.durable--;
  }

  /** Undefined: it is done. */
  #count(tenantId: string, tally: Tally): Promise<void> | undefined {
    if (tally.counting !== undefined) return tally.counting;
    Object.assign(tally, { madeMeanwhile: 0, changedMeanwhile: false });
    const sinceMs = this.#deps.clock.monotonic();
    const { archive } = this.#deps;
    const archived = this.#archived();
    const rooms = archived ? archived.then(() => archive.countRooms(tenantId)) : archive.countRooms(tenantId);
    if (!isPromise(rooms)) {
      this.#counted(tally, rooms, sinceMs);
      return undefined;
    }
    const counting = Promise.resolve(rooms)
      .then((found) => this.#counted(tally, found, sinceMs))
      .finally(() => {
        tally.counting = undefined;
      });
    // Nobody may be waiting.
    counting.catch(() => {});
    tally.counting = counting;
    return counting;
  }

  #counted(tally: Tally, rooms: number, sinceMs: number): void {
    tally.durable = rooms + tally.madeMeanwhile;
    tally.doubtful = tally.changedMeanwhile;
    tally.count = ++this.#counts;
    tally.countedAtMs = this.#deps.clock.monotonic();
    tally.tookMs = tally.countedAtMs - sinceMs;
  }
}

/** How long a count is good enough. Counting many takes long: it must not go on all the time. */
function holdsForMs({ doubtful, tookMs }: Tally, full: boolean): number {
  if (!full || !doubtful) return Math.max(RECOUNT_MS, RECOUNT_TIMES * tookMs);
  return Math.min(Math.max(DOUBTFUL_MS, DOUBTFUL_TIMES * tookMs), RECOUNT_MS);
}

/** Whether the event changes how many rooms there are: what is each user's own does not count. */
function isCounted(room: RoomRef, kind: EventKind): boolean {
  return (kind.case === "roomCreated" || kind.case === "roomDeleted") && !isInbox(room);
}
