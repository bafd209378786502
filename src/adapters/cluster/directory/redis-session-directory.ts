// The session directory of a cluster, in Redis. Every node keeps its own sessions too: a Redis that was emptied is filled again by them.

import { CloseCode } from "../../../gen/trunkline/v1/error_pb.js";
import type { LastSeenVisibility } from "../../../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import type { Placement } from "../../../ports/placement.js";
import {
  type DirectoryWatch,
  type LocalSession,
  PRESENCE_GRACE_MS,
  type PresenceChoice,
  type SessionDirectory,
  type SessionEntry,
  type SessionSelector,
  type UserPresence,
} from "../../../ports/session-directory.js";
import type { UserArchive } from "../../../ports/user-archive.js";
import { LastSeenWriter } from "../../last-seen-writer.js";
import type { RedisCommands } from "../redis.js";
import type { ChannelSubscription, RedisChannels } from "../redis-channels.js";
import { RedisWatch } from "../redis-watch.js";
import { type Closable, CloseOrders } from "./close-orders.js";
import { entryOf, sessionOf } from "./entry.js";
import { GoneNodes } from "./gone-nodes.js";
import { DirectoryKeys, type UserPlace } from "./keys.js";
import { DirectoryReading } from "./reading.js";
import { DirectoryScripts } from "./scripts.js";
import { Telling } from "./telling.js";

/** Timers reach 24 days; nothing needs to be that far ahead. */
const LONGEST_WAIT_MS = 24 * 3_600_000;
const REPLACED = "the device has connected anew";
/** How often the node looks whether Redis still has what it was told, and for nodes that are gone, in milliseconds. */
const ROUND_MS = 1_000;
/** A node that has not looked for so long was paused, in milliseconds: rounds of a Redis that is away fail sooner. */
const PAUSE_MS = 10_000;
/** Whether Redis is told of a session for the first time. */
const FIRST = 0;
const AGAIN = 1;

export interface RedisSessionDirectoryOptions {
  readonly redis: RedisCommands;
  /** Its owner stops it. */
  readonly channels: Pick<RedisChannels, "subscribe">;
  readonly archive: UserArchive;
  readonly clock: Clock;
  readonly placement: Pick<Placement, "nodeId" | "nodes">;
  readonly prefix: string;
  /** How long a lost session still counts, in milliseconds. Default PRESENCE_GRACE_MS. */
  readonly graceMs?: number;
  /** Told when something fails that nobody waits for. */
  readonly onFault?: (cause: unknown) => void;
}

/** A session of this node, and what was last set on it here. */
interface Own extends Closable {
  choice: PresenceChoice | undefined;
  /** The choice's place among what was set on the user's sessions, as Redis says; 0: it has not said. */
  order: number;
  timer: Timer | undefined;
}

export class RedisSessionDirectory implements SessionDirectory {
  readonly #options: RedisSessionDirectoryOptions;
  readonly #keys: DirectoryKeys;
  readonly #scripts: DirectoryScripts;
  readonly #lastSeen: LastSeenWriter;
  readonly #reading: DirectoryReading;
  readonly #orders: CloseOrders;
  readonly #gone: GoneNodes;
  readonly #telling: Telling;
  readonly #nodeId: string;
  readonly #graceMs: number;
  readonly #own = new Map<string, Own>();
  readonly #timers = new Set<Timer>();
  /** Parts of tenants that this node has entries in, as Redis was told. */
  readonly #tags = new Set<string>();
  readonly #watch: RedisWatch;
  /** When this node last looked for what others say, or tried to, monotonic. */
  #lookedAtMs: number;
  #round = 0;
  #hearing: ChannelSubscription | undefined;
  #timer: Timer | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: RedisSessionDirectoryOptions) {
    this.#options = options;
    const { redis, archive, clock, placement, onFault = () => {} } = options;
    this.#nodeId = placement.nodeId;
    this.#graceMs = options.graceMs ?? PRESENCE_GRACE_MS;
    this.#keys = new DirectoryKeys(options.prefix);
    this.#scripts = new DirectoryScripts(redis, this.#keys);
    this.#lastSeen = new LastSeenWriter(archive, clock, onFault);
    this.#reading = new DirectoryReading(redis, this.#keys, this.#lastSeen, placement, clock);
    this.#orders = new CloseOrders(redis, this.#keys, this.#reading, this.#nodeId, this.#own);
    this.#gone = new GoneNodes(redis, this.#keys, this.#scripts, this.#lastSeen, placement, clock);
    this.#telling = new Telling(this.#fault);
    this.#watch = new RedisWatch(redis);
    this.#lookedAtMs = clock.monotonic();
  }

  /** Rejects with UNAVAILABLE. */
  async start(): Promise<void> {
    const { redis, channels } = this.#options;
    await asking(async () => {
      await this.#scripts.load();
      await redis.hset(this.#keys.nodes, this.#nodeId, this.#round);
      await this.#orders.start();
      const name = this.#keys.channelOf(this.#nodeId);
      // Telling of all sessions again shows which of them were replaced meanwhile.
      const missed = (): void => this.#registerAgain();
      this.#hearing = await channels.subscribe(name, { message: (order) => this.#orders.receive(order), missed });
    });
    this.#lookedAtMs = this.#options.clock.monotonic();
    this.#schedule();
  }

  get current(): boolean {
    return this.#options.clock.monotonic() - this.#lookedAtMs < PAUSE_MS;
  }

  connect(session: LocalSession): void {
    const own: Own = { session, choice: undefined, order: 0, timer: undefined, since: undefined, closing: false };
    this.#own.set(session.sessionId, own);
    this.#register(session.sessionId, FIRST);
    this.#telling.does(async () => {
      own.since = await this.#orders.latest();
    });
  }

  disconnect(session: LocalSession, abrupt: boolean): void {
    const own = this.#own.get(session.sessionId);
    if (own === undefined) return;
    this.#own.delete(session.sessionId);
    this.#cancel(own.timer);
    const { sessionId, device } = session;
    const place = this.#placeOf(session);
    const nowMs = this.#options.clock.now();
    const dueMs = abrupt ? nowMs + this.#graceMs : 0;
    this.#telling.tells(sessionId, async () => {
      const left = await this.#run("disconnect", place, sessionId, dueMs);
      if (left === 1) this.#lastSeen.saw(place.tenantId, place.userId, nowMs);
      await this.#options.redis.del(this.#keys.session(place.tenantId, sessionId));
    });
    if (abrupt) this.#after(this.#graceMs, () => this.#endGrace(place, device.deviceId, sessionId));
  }

  choose(session: LocalSession, choice: PresenceChoice): void {
    const own = this.#own.get(session.sessionId);
    if (own === undefined) return;
    own.choice = choice;
    own.order = 0;
    this.#cancel(own.timer);
    const place = this.#placeOf(session);
    own.timer = this.#tellAt(place, choice.untilMs);
    const chooses = async (): Promise<void> => {
      const { order } = await this.#choose(place, session.sessionId, choice);
      if (own.choice === choice) own.order = order;
    };
    this.#telling.tells(session.sessionId, chooses, async () => {
      await this.#registers(session.sessionId, AGAIN);
      await chooses();
    });
  }

  chooseAll(tenantId: string, userId: string, choice: PresenceChoice): Promise<number> {
    return asking(async () => {
      const place = this.#keys.place(tenantId, userId);
      const { chosen } = await this.#choose(place, "", choice);
      if (chosen > 0) this.#tellAt(place, choice.untilMs);
      return chosen;
    });
  }

  setLastSeenVisibility(tenantId: string, userId: string, visibility: LastSeenVisibility): Promise<void> {
    return asking(async () => {
      await this.#options.archive.putLastSeen([{ tenantId, userId, visibility }]);
      await this.#run("tell", this.#keys.place(tenantId, userId));
    });
  }

  presences(tenantId: string, userIds: readonly string[]): Promise<readonly UserPresence[]> {
    return asking(() => this.#reading.presences(tenantId, userIds));
  }

  countOnline(tenantId: string, userIds: Iterable<string>): Promise<number> {
    return asking(() => this.#reading.countOnline(tenantId, userIds));
  }

  online(tenantId: string, after: string, limit: number): Promise<readonly UserPresence[]> {
    return asking(() => this.#reading.online(tenantId, after, limit));
  }

  watch(tenantId: string, userId: string, listener: () => void): Promise<DirectoryWatch> {
    const channel = this.#keys.changed(this.#keys.place(tenantId, userId));
    return asking(() => this.#options.channels.subscribe(channel, { message: listener, missed: listener }));
  }

  sessions(tenantId: string, userId: string): Promise<readonly SessionEntry[]> {
    return asking(async () => {
      const entries = await this.#reading.live(tenantId, userId);
      return entries.map((entry) => sessionOf(tenantId, userId, entry));
    });
  }

  close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Promise<number> {
    return asking(() => this.#orders.close(tenantId, which, code, reason));
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel();
    const { clock, redis } = this.#options;
    this.#hearing?.close();
    for (const timer of this.#timers) timer.cancel();
    await this.#telling.stop();
    // What is left goes as that of a node that is gone; who was lost was last seen then.
    await this.#gone.forget(this.#nodeId, [...this.#tags], clock.now()).catch(ignore);
    await redis.hdel(this.#keys.nodes, this.#nodeId).catch(ignore);
    await this.#lastSeen.stop();
  }

  // — what this node says —

  #register(sessionId: string, time: 0 | 1): void {
    this.#telling.tells(
      sessionId,
      () => this.#registers(sessionId, time),
      () => this.#registers(sessionId, AGAIN),
    );
  }

  async #registers(sessionId: string, time: 0 | 1): Promise<void> {
    const own = this.#own.get(sessionId);
    // It has ended meanwhile, and that is told.
    if (own === undefined) return;
    const { session, choice, order } = own;
    const place = this.#placeOf(session);
    const { redis } = this.#options;
    if (!this.#tags.has(place.tag)) {
      this.#tags.add(place.tag);
      redis.sadd(this.#keys.partsOf(this.#nodeId), place.tag).catch(this.#fault);
    }
    redis.set(this.#keys.session(place.tenantId, session.sessionId), place.userId).catch(this.#fault);
    const entry = entryOf(this.#nodeId, session, choice, order);
    const rivals = (await this.#run("connect", place, JSON.stringify(entry), time)) as string[];
    for (let at = 0; at + 1 < rivals.length; at += 2) {
      this.#telling.does(() => this.#orders.send(rivals[at] ?? "", rivals[at + 1] ?? "", CloseCode.REPLACED, REPLACED));
    }
  }

  async #choose(place: UserPlace, sessionId: string, { status, text, untilMs }: PresenceChoice) {
    const nowMs = this.#options.clock.now();
    const answer = await this.#run("choose", place, sessionId, status, text, Math.floor(untilMs ?? 0));
    const [chosen = 0, offline, order = 0] = answer as number[];
    if (offline === 1) this.#lastSeen.saw(place.tenantId, place.userId, nowMs);
    return { chosen, order };
  }

  #endGrace(place: UserPlace, deviceId: string, sessionId: string): void {
    this.#telling.does(async () => {
      const lostAtMs = Number(await this.#run("endGrace", place, deviceId, sessionId));
      if (lostAtMs > 0) this.#lastSeen.saw(place.tenantId, place.userId, lostAtMs);
    });
  }

  /** What is over shows by the clock already; watchers are to look again. */
  #tellAt(place: UserPlace, untilMs: number | undefined): Timer | undefined {
    if (untilMs === undefined) return undefined;
    const { clock } = this.#options;
    const waitMs = Math.min(Math.max(untilMs - clock.now(), 0), LONGEST_WAIT_MS);
    return this.#after(waitMs, () => {
      if (untilMs > clock.now()) this.#tellAt(place, untilMs);
      else this.#telling.does(() => this.#run("tell", place));
    });
  }

  #run(
    script: Parameters<DirectoryScripts["run"]>[0],
    place: UserPlace,
    ...own: (string | number)[]
  ): Promise<unknown> {
    return this.#scripts.run(script, place, this.#nodeId, this.#options.clock.now(), ...own);
  }

  readonly #fault = (cause: unknown): void => this.#options.onFault?.(cause);

  // — rounds: what Redis has lost, and who is gone —

  #schedule(): void {
    this.#timer = this.#options.clock.after(ROUND_MS, () => {
      this.#telling.does(async () => {
        await this.#look().catch(this.#fault);
        if (this.#stopped === undefined) this.#schedule();
      });
    });
  }

  async #look(): Promise<void> {
    const { redis, clock } = this.#options;
    try {
      await this.#orders.look();
    } finally {
      this.#lookedAtMs = clock.monotonic();
    }
    // At once: whoever forgets this node and then takes it from the list is seen to have done so, by this look or the next.
    const looked = await redis
      .multi()
      .hget(this.#keys.nodes, this.#nodeId)
      .hset(this.#keys.nodes, this.#nodeId, this.#round + 1)
      .exec();
    const known = looked?.[0]?.[1];
    // Emptied, or taken back to what it was before.
    const isAnother = await this.#watch.isAnother();
    this.#telling.tellAgain();
    if (isAnother || known !== String(this.#round)) this.#registerAgain();
    this.#round++;
    // What may take long: others' sessions are to be closed meanwhile.
    this.#telling.does(() => this.#gone.sweep());
  }

  #registerAgain(): void {
    this.#tags.clear();
    for (const sessionId of this.#own.keys()) this.#register(sessionId, AGAIN);
  }

  // — small things —

  #placeOf({ tenantId, userId }: LocalSession): UserPlace {
    return this.#keys.place(tenantId, userId);
  }

  #after(waitMs: number, action: () => void): Timer {
    const timer = this.#options.clock.after(waitMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: Timer | undefined): void {
    if (timer === undefined) return;
    timer.cancel();
    this.#timers.delete(timer);
  }
}

async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof TrunklineError) throw cause;
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the session directory is not reachable", {
      retryAfterMs: 500,
      cause,
    });
  }
}

function ignore(): void {}
