// The session directory of a cluster, in Redis. Every node keeps its own sessions too: a Redis that was emptied is filled again by them.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type LastSeenVisibility, PresenceStatus } from "../../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Placement } from "../../ports/placement.js";
import {
  type DirectoryWatch,
  type LocalSession,
  PRESENCE_GRACE_MS,
  type PresenceChoice,
  type SessionDirectory,
  type SessionEntry,
  type SessionSelector,
  type UserPresence,
} from "../../ports/session-directory.js";
import type { UserArchive } from "../../ports/user-archive.js";
import { LastSeenWriter } from "../last-seen-writer.js";
import { type Entry, entryOf, readEntry, sessionOf, shownBy } from "./directory-entry.js";
import { DirectoryScripts, type UserPlace } from "./directory-scripts.js";
import type { RedisCommands } from "./redis.js";
import type { ChannelSubscription, RedisChannels } from "./redis-channels.js";
import { isAfter, type Place, RedisCloses } from "./redis-closes.js";
import { readHashes } from "./redis-hashes.js";
import { RedisWatch } from "./redis-watch.js";

/** Timers reach 24 days; nothing needs to be that far ahead. */
const LONGEST_WAIT_MS = 24 * 3_600_000;
const REPLACED = "the device has connected anew";
/** How often the node looks whether Redis still has what it was told, and for nodes that are gone, in milliseconds. */
const ROUND_MS = 1_000;
/** A node that has not looked for so long was paused, in milliseconds: rounds of a Redis that is away fail sooner. */
const PAUSE_MS = 10_000;
/** How long a node is told to close a session that it may not have heard of, in milliseconds. */
const ORDER_MS = 60_000;
const MISSED = "the node was away for too long";
/** Whether Redis is told of a session for the first time. */
const FIRST = 0;
const AGAIN = 1;
/** Sessions of which Redis can be told later; of those beyond, what it has is gone with the node. */
const MOST_UNTOLD = 100_000;
/** Users asked for in one command. */
const COUNTED_AT_ONCE = 1_000;

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
interface Own {
  readonly session: LocalSession;
  choice: PresenceChoice | undefined;
  /** The choice's place among what was set on the user's sessions, as Redis says; 0: it has not said. */
  order: number;
  timer: Timer | undefined;
  /** The last of the closes that were kept when it connected: those concern whoever was there before. Undefined: not known yet. */
  since: Place | undefined;
  /** It was told to close: once is enough. */
  closing: boolean;
}

export class RedisSessionDirectory implements SessionDirectory {
  readonly #options: RedisSessionDirectoryOptions;
  readonly #scripts: DirectoryScripts;
  readonly #closes: RedisCloses;
  readonly #lastSeen: LastSeenWriter;
  readonly #nodeId: string;
  readonly #graceMs: number;
  readonly #nodesKey: string;
  readonly #own = new Map<string, Own>();
  readonly #timers = new Set<Timer>();
  /** Parts of tenants that this node has entries in, as Redis was told. */
  readonly #tags = new Set<string>();
  /** Of sessions, what Redis did not take. */
  readonly #untold = new Map<string, () => Promise<unknown>>();
  readonly #watch: RedisWatch;
  readonly #underWay = new Set<Promise<unknown>>();
  /** The last close that this node has looked at. */
  #closedUntil: Place = "0-0";
  /** When this node last looked for what others say, or tried to, monotonic. */
  #lookedAtMs: number;
  #sweeping = false;
  #round = 0;
  #orders: ChannelSubscription | undefined;
  #timer: Timer | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: RedisSessionDirectoryOptions) {
    this.#options = options;
    const { archive, clock, onFault = () => {} } = options;
    this.#scripts = new DirectoryScripts(options.redis, options.prefix);
    this.#closes = new RedisCloses(options.redis, options.prefix);
    this.#lookedAtMs = clock.monotonic();
    this.#watch = new RedisWatch(options.redis);
    this.#lastSeen = new LastSeenWriter(archive, clock, onFault);
    this.#nodeId = options.placement.nodeId;
    this.#graceMs = options.graceMs ?? PRESENCE_GRACE_MS;
    this.#nodesKey = `${options.prefix}:directory:nodes`;
  }

  /** Rejects with UNAVAILABLE. */
  async start(): Promise<void> {
    const { redis, channels } = this.#options;
    await asking(async () => {
      await this.#scripts.load();
      await redis.hset(this.#nodesKey, this.#nodeId, this.#round);
      this.#closedUntil = await this.#closes.last();
      const name = this.#nodeChannel(this.#nodeId);
      // Telling of all sessions again shows which of them were replaced meanwhile.
      const missed = (): void => this.#registerAgain();
      this.#orders = await channels.subscribe(name, { message: (order) => this.#closeOwn(order), missed });
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
    const looked = this.#closedUntil;
    this.#does(async () => {
      // Whoever was told to close and comes back is not meant.
      own.since = await this.#closes.last().catch(() => looked);
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
    this.#tells(sessionId, async () => {
      const left = await this.#run("disconnect", place, sessionId, dueMs);
      if (left === 1) this.#lastSeen.saw(place.tenantId, place.userId, nowMs);
      await this.#options.redis.del(this.#sessionKey(place.tenantId, sessionId));
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
    this.#tells(session.sessionId, chooses, async () => {
      await this.#registers(session.sessionId, AGAIN);
      await chooses();
    });
  }

  chooseAll(tenantId: string, userId: string, choice: PresenceChoice): Promise<number> {
    return asking(async () => {
      const place = this.#scripts.place(tenantId, userId);
      const { chosen } = await this.#choose(place, "", choice);
      if (chosen > 0) this.#tellAt(place, choice.untilMs);
      return chosen;
    });
  }

  setLastSeenVisibility(tenantId: string, userId: string, visibility: LastSeenVisibility): Promise<void> {
    return asking(async () => {
      await this.#options.archive.putLastSeen([{ tenantId, userId, visibility }]);
      await this.#run("tell", this.#scripts.place(tenantId, userId));
    });
  }

  presences(tenantId: string, userIds: readonly string[]): Promise<readonly UserPresence[]> {
    return asking(async () => {
      const all = await this.#entries(tenantId, userIds);
      const nowMs = this.#options.clock.now();
      const shown = all.map((entries) => shownBy(entries, nowMs));
      const offline = userIds.filter((_, index) => shown[index]?.status === PresenceStatus.OFFLINE);
      const seen = offline.length === 0 ? new Map<string, number>() : await this.#lastSeen.read(tenantId, offline);
      return userIds.map((userId, index) => ({
        ...(shown[index] ?? shownBy([], nowMs)),
        userId,
        lastSeenMs: seen.get(userId),
      }));
    });
  }

  countOnline(tenantId: string, userIds: Iterable<string>): Promise<number> {
    return asking(async () => {
      const byTag = new Map<string, string[]>();
      for (const userId of userIds) {
        const { tag } = this.#scripts.place(tenantId, userId);
        const users = byTag.get(tag) ?? [];
        byTag.set(tag, users);
        users.push(userId);
      }
      let count = 0;
      for (const [tag, users] of byTag) {
        for (let from = 0; from < users.length; from += COUNTED_AT_ONCE) {
          const some = users.slice(from, from + COUNTED_AT_ONCE);
          const scores = await this.#options.redis.zmscore(this.#scripts.onlineKey(tag), ...some);
          count += scores.filter((score) => score !== null).length;
        }
      }
      return count;
    });
  }

  online(tenantId: string, after: string, limit: number): Promise<readonly UserPresence[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const from = after === "" ? "-" : `(${after}`;
      const found: UserPresence[] = [];
      let start = from;
      // Who has come back or gone meanwhile may be listed or not; a page that is not full says that it is the last.
      for (;;) {
        const pages = await Promise.all(
          this.#scripts
            .tags(tenantId)
            .map((tag) => this.#options.redis.zrangebylex(this.#scripts.onlineKey(tag), start, "+", "LIMIT", 0, limit)),
        );
        const users = pages.flat().sort().slice(0, limit);
        const presences = await this.presences(tenantId, users);
        for (const presence of presences) {
          if (presence.status !== PresenceStatus.OFFLINE) found.push({ ...presence, lastSeenMs: undefined });
        }
        const last = users.at(-1);
        if (found.length >= limit || users.length < limit || last === undefined) return found.slice(0, limit);
        start = `(${last}`;
      }
    });
  }

  watch(tenantId: string, userId: string, listener: () => void): Promise<DirectoryWatch> {
    const channel = this.#scripts.channel(this.#scripts.place(tenantId, userId));
    return asking(() => this.#options.channels.subscribe(channel, { message: listener, missed: listener }));
  }

  sessions(tenantId: string, userId: string): Promise<readonly SessionEntry[]> {
    return asking(async () => {
      const [entries = []] = await this.#entries(tenantId, [userId]);
      return live(entries).map((entry) => sessionOf(tenantId, userId, entry));
    });
  }

  close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Promise<number> {
    return asking(async () => {
      const selected = await this.#selected(tenantId, which);
      // For sessions that nobody sees now; one that is named and seen is told by its own node's orders.
      if ("userId" in which || selected.length === 0) await this.#closes.add(tenantId, which, code, reason);
      await Promise.all(selected.map(({ n, s }) => this.#tellToClose(n, s, code, reason)));
      return selected.length;
    });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel();
    const { clock, redis } = this.#options;
    this.#orders?.close();
    for (const timer of this.#timers) timer.cancel();
    await Promise.allSettled([...this.#underWay]);
    // What is left goes as that of a node that is gone; who was lost was last seen then.
    await this.#forget(this.#nodeId, [...this.#tags], clock.now()).catch(ignore);
    await redis.hdel(this.#nodesKey, this.#nodeId).catch(ignore);
    await this.#lastSeen.stop();
  }

  // — a user's entries —

  async #entries(tenantId: string, userIds: readonly string[]): Promise<readonly (readonly Entry[])[]> {
    if (userIds.length === 0) return [];
    const nodes = new Set(this.#options.placement.nodes().map(({ nodeId }) => nodeId));
    nodes.add(this.#nodeId);
    const keys = userIds.map((userId) => this.#scripts.userKey(this.#scripts.place(tenantId, userId)));
    const all = await readHashes(this.#options.redis, keys);
    return all.map((stored) => {
      const fields = Object.entries(stored);
      // What a node had that is gone is gone with it, swept or not.
      return fields.flatMap(([field, text]) => readEntry(field, text)).filter(({ n }) => nodes.has(n));
    });
  }

  async #selected(tenantId: string, which: SessionSelector): Promise<readonly Entry[]> {
    if ("userId" in which) {
      const [entries = []] = await this.#entries(tenantId, [which.userId]);
      return live(entries).filter(({ d }) => isOn(d, which));
    }
    const userId = await this.#options.redis.get(this.#sessionKey(tenantId, which.sessionId));
    if (userId === null) return [];
    const [entries = []] = await this.#entries(tenantId, [userId]);
    return live(entries).filter(({ s }) => s === which.sessionId);
  }

  // — what this node says —

  #register(sessionId: string, time: 0 | 1): void {
    this.#tells(
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
      redis.sadd(this.#tagsKey(this.#nodeId), place.tag).catch(this.#fault);
    }
    redis.set(this.#sessionKey(place.tenantId, session.sessionId), place.userId).catch(this.#fault);
    const entry = entryOf(this.#nodeId, session, choice, order);
    const rivals = (await this.#run("connect", place, JSON.stringify(entry), time)) as string[];
    for (let at = 0; at + 1 < rivals.length; at += 2) {
      this.#does(() => this.#tellToClose(rivals[at] ?? "", rivals[at + 1] ?? "", CloseCode.REPLACED, REPLACED));
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
    this.#does(async () => {
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
      else this.#does(() => this.#run("tell", place));
    });
  }

  async #tellToClose(nodeId: string, sessionId: string, code: CloseCode, reason: string): Promise<void> {
    const { redis } = this.#options;
    const message = JSON.stringify({ sessionId, code, reason });
    // What is said may be lost on the way: the node looks here too.
    const orders = this.#ordersKey(nodeId);
    await Promise.all([
      redis.rpush(orders, message),
      redis.pexpire(orders, ORDER_MS),
      redis.spublish(this.#nodeChannel(nodeId), message),
    ]);
  }

  #run(
    script: Parameters<DirectoryScripts["run"]>[0],
    place: UserPlace,
    ...own: (string | number)[]
  ): Promise<unknown> {
    return this.#scripts.run(script, place, this.#nodeId, this.#options.clock.now(), ...own);
  }

  /** Something about a session, done again later where Redis does not take it. */
  #tells(sessionId: string, work: () => Promise<unknown>, again = work): void {
    this.#does(async () => {
      try {
        await work();
      } catch (cause) {
        this.#fault(cause);
        // What was told last of it counts.
        this.#untold.delete(sessionId);
        if (this.#untold.size < MOST_UNTOLD && this.#stopped === undefined) this.#untold.set(sessionId, again);
      }
    });
  }

  /** Something that nobody waits for, begun at once: commands are done in the order of the calls. */
  #does(work: () => Promise<unknown>): void {
    const done = work().catch(this.#fault);
    this.#underWay.add(done);
    void done.finally(() => this.#underWay.delete(done));
  }

  readonly #fault = (cause: unknown): void => this.#options.onFault?.(cause);

  // — what this node hears —

  #closeOwn(message: Buffer | string): void {
    const { sessionId, code, reason } = JSON.parse(message.toString()) as Record<string, unknown>;
    const own = this.#own.get(String(sessionId));
    if (own === undefined || own.closing) return;
    own.closing = true;
    own.session.close(Number(code), String(reason));
  }

  /** What was said to this node and it may not have heard. */
  async #closeMissed(): Promise<void> {
    const { redis } = this.#options;
    const orders = this.#ordersKey(this.#nodeId);
    const said = await redis.lrange(orders, 0, -1);
    for (const order of said) this.#closeOwn(order);
    if (said.length > 0) await redis.ltrim(orders, said.length, -1);
  }

  /** What was said while others may not have seen this node's sessions. */
  async #closeUnseen(): Promise<void> {
    const { closes, lost } = await this.#closes.after(this.#closedUntil);
    const [first] = closes;
    const last = closes.at(-1);
    if (first === undefined || last === undefined) return;
    this.#closedUntil = last.at;
    const said = Map.groupBy(closes, ({ tenantId, which }) => subjectOf(tenantId, which));
    for (const own of [...this.#own.values()]) {
      const { since, session } = own;
      if (since === undefined || own.closing) continue;
      const { tenantId, userId, sessionId, device } = session;
      const ofUser = said.get(subjectOf(tenantId, { userId })) ?? [];
      const found = [...ofUser, ...(said.get(subjectOf(tenantId, { sessionId })) ?? [])].find(
        ({ at, which }) => isAfter(at, since) && ("sessionId" in which || isOn(device.deviceId, which)),
      );
      // Where it is not known who was meant everybody comes anew, and is looked at then.
      if (found === undefined && !(lost && isAfter(first.at, since))) continue;
      own.closing = true;
      session.close(found?.code ?? CloseCode.GOING_AWAY, found?.reason ?? MISSED);
    }
  }

  // — rounds: what Redis has lost, and who is gone —

  #schedule(): void {
    this.#timer = this.#options.clock.after(ROUND_MS, () => {
      this.#does(async () => {
        await this.#look().catch(this.#fault);
        if (this.#stopped === undefined) this.#schedule();
      });
    });
  }

  async #look(): Promise<void> {
    const { redis, clock } = this.#options;
    try {
      await this.#closeMissed();
      await this.#closeUnseen();
    } finally {
      this.#lookedAtMs = clock.monotonic();
    }
    // At once: whoever forgets this node and then takes it from the list is seen to have done so, by this look or the next.
    const looked = await redis
      .multi()
      .hget(this.#nodesKey, this.#nodeId)
      .hset(this.#nodesKey, this.#nodeId, this.#round + 1)
      .exec();
    const known = looked?.[0]?.[1];
    // Emptied, or taken back to what it was before.
    const isAnother = await this.#watch.isAnother();
    this.#tellAgain();
    if (isAnother || known !== String(this.#round)) this.#registerAgain();
    this.#round++;
    // What may take long: others' sessions are to be closed meanwhile.
    if (!this.#sweeping) this.#does(() => this.#sweep());
  }

  async #sweep(): Promise<void> {
    const live = this.#options.placement.nodes().map(({ nodeId }) => nodeId);
    // One of them is enough.
    if (live[0] !== this.#nodeId) return;
    this.#sweeping = true;
    try {
      await this.#forgetGone(live);
    } finally {
      this.#sweeping = false;
    }
  }

  async #forgetGone(live: readonly string[]): Promise<void> {
    const { redis } = this.#options;
    for (const nodeId of await redis.hkeys(this.#nodesKey)) {
      if (live.includes(nodeId)) continue;
      await this.#forget(nodeId, await redis.smembers(this.#tagsKey(nodeId)), this.#options.clock.now());
      await redis.hdel(this.#nodesKey, nodeId);
    }
  }

  #tellAgain(): void {
    const untold = [...this.#untold];
    this.#untold.clear();
    for (const [sessionId, again] of untold) this.#tells(sessionId, again);
  }

  #registerAgain(): void {
    this.#tags.clear();
    for (const sessionId of this.#own.keys()) this.#register(sessionId, AGAIN);
  }

  /** Removes what a node that is gone had. May be done by several, and again. */
  async #forget(nodeId: string, tags: readonly string[], atMs: number): Promise<void> {
    const { redis } = this.#options;
    for (const tag of tags) {
      const tenantId = tag.slice(0, tag.lastIndexOf("/"));
      for (const userId of await redis.smembers(this.#scripts.nodeKey(tag, nodeId))) {
        const place = { tenantId, userId, tag };
        const answer = await this.#scripts.run("forgetNode", place, nodeId, this.#options.clock.now(), nodeId);
        const [offline, sessions] = answer as [number, string[]];
        if (offline === 1) this.#lastSeen.saw(tenantId, userId, atMs);
        for (const sessionId of sessions) await redis.del(this.#sessionKey(tenantId, sessionId));
      }
    }
    await redis.del(this.#tagsKey(nodeId));
  }

  // — small things —

  #placeOf({ tenantId, userId }: LocalSession): UserPlace {
    return this.#scripts.place(tenantId, userId);
  }

  #sessionKey(tenantId: string, sessionId: string): string {
    return `${this.#options.prefix}:session:${tenantId}/${sessionId}`;
  }

  #tagsKey(nodeId: string): string {
    return `${this.#options.prefix}:directory:parts:${nodeId}`;
  }

  #ordersKey(nodeId: string): string {
    return `${this.#options.prefix}:directory:orders:${nodeId}`;
  }

  #nodeChannel(nodeId: string): string {
    return `${this.#options.prefix}:directory:node:${nodeId}`;
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

/** Whether a user's device is among those that are meant. */
function isOn(deviceId: string, which: Extract<SessionSelector, { readonly userId: string }>): boolean {
  return (which.deviceId === undefined || deviceId === which.deviceId) && deviceId !== which.exceptDeviceId;
}

function subjectOf(tenantId: string, which: SessionSelector): string {
  return "sessionId" in which ? `${tenantId}/s/${which.sessionId}` : `${tenantId}/u/${which.userId}`;
}

/** The one that connected first first. */
function live(entries: readonly Entry[]): readonly Entry[] {
  return entries
    .filter(({ due }) => due === undefined)
    .sort((one, other) => one.c - other.c || (one.s < other.s ? -1 : 1));
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
