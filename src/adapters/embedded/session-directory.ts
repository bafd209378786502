// The session directory of a backbone that runs alone: all sessions are this process's own, so it is a few maps.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type LastSeenVisibility, PresenceStatus } from "../../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import type { Awaitable } from "../../ports/room-ref.js";
import {
  type DirectoryWatch,
  type LocalSession,
  PRESENCE_GRACE_MS,
  type PresenceChoice,
  type SessionDirectory,
  type SessionEntry,
  type SessionSelector,
  strength,
  type UserPresence,
} from "../../ports/session-directory.js";
import type { UserArchive } from "../../ports/user-archive.js";
import { LastSeenWriter } from "../last-seen-writer.js";

/** Timers reach 24 days; nothing needs to be that far ahead. */
const LONGEST_WAIT_MS = 24 * 3_600_000;

const HERE: PresenceChoice = { status: PresenceStatus.ONLINE, text: "", untilMs: undefined };
const GONE: PresenceChoice = { status: PresenceStatus.OFFLINE, text: "", untilMs: undefined };

const REPLACED = "the device has connected anew";

/** What was set on a session. */
interface Chosen {
  readonly choice: PresenceChoice;
  /** Rises: the later wins among equals. */
  readonly order: number;
  timer: Timer | undefined;
}

/** A session that was lost and still counts. */
interface Lost {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly chosen: Chosen | undefined;
  /** Wall clock. */
  readonly lostAtMs: number;
  /** Monotonic. */
  readonly dueMs: number;
}

/** A user who has a session, or had one a moment ago. Small: most have one session on which nothing was ever set. */
class Place {
  /** Oldest first. Replaced, never changed. */
  sessions: readonly LocalSession[] = [];
  chosen: Map<LocalSession, Chosen> | undefined;
  lost: readonly Lost[] | undefined;

  get empty(): boolean {
    return this.sessions.length === 0 && this.lost === undefined;
  }
}

export interface SessionDirectoryOptions {
  readonly archive: UserArchive;
  readonly clock: Clock;
  /** How long a lost session still counts, in milliseconds. Default PRESENCE_GRACE_MS. */
  readonly graceMs?: number;
  /** Told when something fails that nobody waits for. */
  readonly onFault?: (cause: unknown) => void;
}

export class EmbeddedSessionDirectory implements SessionDirectory {
  readonly current = true;
  readonly #archive: UserArchive;
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #lastSeen: LastSeenWriter;
  readonly #tenants = new Map<string, Map<string, Place>>();
  readonly #watches = new Map<string, Set<{ readonly listener: () => void }>>();
  /** All of them: the grace is the same for everybody, so they end in this order. */
  readonly #lost = new Set<Lost>();
  #graceTimer: Timer | undefined;
  #order = 0;

  constructor({ archive, clock, graceMs = PRESENCE_GRACE_MS, onFault = () => {} }: SessionDirectoryOptions) {
    this.#archive = archive;
    this.#clock = clock;
    this.#graceMs = graceMs;
    this.#lastSeen = new LastSeenWriter(archive, clock, onFault);
  }

  connect(session: LocalSession): void {
    const { deviceId } = session.device;
    const same = (each: LocalSession): boolean => each.device.deviceId === deviceId;
    const rivals = this.sessions(session.tenantId, session.userId).filter(same);
    this.#change(session.tenantId, session.userId, (place) => {
      const lost = place.lost?.find((each) => each.deviceId === deviceId);
      const live = place.sessions.findLast(same);
      const chosen = live === undefined ? lost?.chosen : place.chosen?.get(live);
      place.sessions = place.sessions.length === 0 ? [session] : [...place.sessions, session];
      if (chosen !== undefined) this.#set(place, session, chosen.choice, chosen.order);
      if (lost !== undefined) this.#forget(place, lost);
    });
    const current = Math.max(session.attempt, ...rivals.map(({ attempt }) => attempt));
    if (current > session.attempt) session.close(CloseCode.REPLACED, REPLACED);
    for (const rival of rivals) if (rival.attempt <= session.attempt) rival.close(CloseCode.REPLACED, REPLACED);
  }

  disconnect(session: LocalSession, abrupt: boolean): void {
    const { tenantId, userId, device } = session;
    if (this.#tenants.get(tenantId)?.get(userId)?.sessions.includes(session) !== true) return;
    this.#change(tenantId, userId, (place) => {
      const chosen = place.chosen?.get(session);
      place.chosen?.delete(session);
      place.sessions = place.sessions.filter((each) => each !== session);
      const { deviceId } = device;
      if (abrupt && place.sessions.every((each) => each.device.deviceId !== deviceId)) {
        const lostAtMs = this.#clock.now();
        const dueMs = this.#clock.monotonic() + this.#graceMs;
        const lost = { tenantId, userId, deviceId, chosen, lostAtMs, dueMs };
        place.lost = [...(place.lost ?? []), lost];
        this.#lost.add(lost);
        this.#armGrace();
      } else chosen?.timer?.cancel();
    });
  }

  choose(session: LocalSession, choice: PresenceChoice): void {
    const { tenantId, userId } = session;
    if (this.#tenants.get(tenantId)?.get(userId)?.sessions.includes(session) !== true) return;
    this.#change(tenantId, userId, (place) => this.#set(place, session, choice, ++this.#order));
  }

  chooseAll(tenantId: string, userId: string, choice: PresenceChoice): number {
    const sessions = this.sessions(tenantId, userId);
    if (sessions.length === 0) return 0;
    this.#change(tenantId, userId, (place) => {
      const order = ++this.#order;
      for (const session of sessions) this.#set(place, session, choice, order);
    });
    return sessions.length;
  }

  async setLastSeenVisibility(tenantId: string, userId: string, visibility: LastSeenVisibility): Promise<void> {
    await this.#archive.putLastSeen([{ tenantId, userId, visibility }]);
    this.#tell(tenantId, userId);
  }

  presences(tenantId: string, userIds: readonly string[]): Awaitable<readonly UserPresence[]> {
    const places = this.#tenants.get(tenantId);
    const shown = userIds.map((userId) => this.#shown(places?.get(userId)));
    const offline = userIds.filter((_, index) => shown[index]?.status === PresenceStatus.OFFLINE);
    const answer = (seen: ReadonlyMap<string, number>): readonly UserPresence[] =>
      userIds.map((userId, index) => ({ ...(shown[index] ?? GONE), userId, lastSeenMs: seen.get(userId) }));
    if (offline.length === 0) return answer(new Map());
    const seen = this.#lastSeen.read(tenantId, offline);
    return seen instanceof Map ? answer(seen) : seen.then(answer);
  }

  countOnline(tenantId: string, userIds: Iterable<string>): number {
    const places = this.#tenants.get(tenantId);
    let count = 0;
    if (places === undefined) return count;
    for (const userId of userIds) if (this.#isOnline(places.get(userId))) count++;
    return count;
  }

  online(tenantId: string, after: string, limit: number): readonly UserPresence[] {
    const places = this.#tenants.get(tenantId);
    if (places === undefined || limit <= 0) return [];
    // The least ones, cut now and then: sorting everybody for each page would hold up the process.
    let least: string[] = [];
    for (const [userId, place] of places) {
      if (userId <= after || !this.#isOnline(place)) continue;
      least.push(userId);
      if (least.length >= 4 * limit) least = least.sort().slice(0, limit);
    }
    return least
      .sort()
      .slice(0, limit)
      .map((userId) => ({ ...this.#shown(places.get(userId)), userId, lastSeenMs: undefined }));
  }

  watch(tenantId: string, userId: string, listener: () => void): DirectoryWatch {
    const key = `${tenantId}/${userId}`;
    const watches = this.#watches.get(key) ?? new Set();
    this.#watches.set(key, watches);
    // An object of its own for each, so that one listener can watch twice.
    const watch = { listener };
    watches.add(watch);
    return {
      close: () => {
        watches.delete(watch);
        if (watches.size === 0 && this.#watches.get(key) === watches) this.#watches.delete(key);
      },
    };
  }

  sessions(tenantId: string, userId: string): readonly LocalSession[] {
    return this.#tenants.get(tenantId)?.get(userId)?.sessions ?? [];
  }

  close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): number {
    const sessions = this.#selected(tenantId, which);
    for (const session of sessions) session.close(code, reason);
    return sessions.length;
  }

  async stop(): Promise<void> {
    this.#graceTimer?.cancel();
    for (const lost of this.#lost) this.#endGrace(lost);
    for (const places of this.#tenants.values()) {
      for (const { chosen } of places.values()) for (const { timer } of chosen?.values() ?? []) timer?.cancel();
    }
    await this.#lastSeen.stop();
  }

  /** By session, everybody of the tenant is looked at: services do it now and then, and an index would cost every session memory. */
  #selected(tenantId: string, which: SessionSelector): readonly LocalSession[] {
    if ("userId" in which) {
      const { userId, deviceId, exceptDeviceId } = which;
      return this.sessions(tenantId, userId).filter(({ device }) => {
        return (deviceId === undefined || device.deviceId === deviceId) && device.deviceId !== exceptDeviceId;
      });
    }
    for (const { sessions } of this.#tenants.get(tenantId)?.values() ?? []) {
      const found: readonly SessionEntry[] = sessions.filter(({ sessionId }) => sessionId === which.sessionId);
      if (found.length > 0) return sessions.filter((each) => found.includes(each));
    }
    return [];
  }

  /** Changes a user's place; tells watchers if others see it, and remembers when a user was last seen. */
  #change(tenantId: string, userId: string, change: (place: Place) => void, seenAtMs = this.#clock.now()): void {
    let places = this.#tenants.get(tenantId);
    if (places === undefined) {
      places = new Map();
      this.#tenants.set(tenantId, places);
    }
    let place = places.get(userId);
    if (place === undefined) {
      place = new Place();
      places.set(userId, place);
    }
    const before = this.#shown(place);
    change(place);
    const after = this.#shown(place);
    if (place.empty) places.delete(userId);
    if (places.size === 0) this.#tenants.delete(tenantId);
    if (before.status !== PresenceStatus.OFFLINE && after.status === PresenceStatus.OFFLINE) {
      this.#lastSeen.saw(tenantId, userId, seenAtMs);
    }
    if (!same(before, after)) this.#tell(tenantId, userId);
  }

  #tell(tenantId: string, userId: string): void {
    if (this.#watches.size === 0) return;
    for (const { listener } of this.#watches.get(`${tenantId}/${userId}`) ?? []) listener();
  }

  /** What others see. */
  #shown(place: Place | undefined): PresenceChoice {
    if (place === undefined || place.empty) return GONE;
    if (place.chosen === undefined && place.sessions.length > 0 && place.lost === undefined) return HERE;
    let strongest = GONE;
    let order = -1;
    const consider = (chosen: Chosen | undefined): void => {
      const choice = this.#inForce(chosen);
      const at = choice === HERE ? 0 : (chosen?.order ?? 0);
      const more = strength(choice.status) - strength(strongest.status);
      if (more < 0 || (more === 0 && at <= order)) return;
      strongest = choice;
      order = at;
    };
    for (const session of place.sessions) consider(place.chosen?.get(session));
    for (const { chosen } of place.lost ?? []) consider(chosen);
    return strongest.status === PresenceStatus.INVISIBLE ? GONE : strongest;
  }

  #isOnline(place: Place | undefined): boolean {
    return this.#shown(place).status !== PresenceStatus.OFFLINE;
  }

  #inForce(chosen: Chosen | undefined): PresenceChoice {
    if (chosen === undefined) return HERE;
    const { untilMs } = chosen.choice;
    return untilMs !== undefined && untilMs <= this.#clock.now() ? HERE : chosen.choice;
  }

  #set(place: Place, session: LocalSession, choice: PresenceChoice, order: number): void {
    place.chosen?.get(session)?.timer?.cancel();
    place.chosen ??= new Map();
    const chosen: Chosen = { choice, order, timer: undefined };
    place.chosen.set(session, chosen);
    this.#armUntil(session.tenantId, session.userId, chosen);
  }

  #armUntil(tenantId: string, userId: string, chosen: Chosen): void {
    const { untilMs } = chosen.choice;
    if (untilMs === undefined) return;
    const waitMs = Math.min(Math.max(untilMs - this.#clock.now(), 0), LONGEST_WAIT_MS);
    chosen.timer = this.#clock.after(waitMs, () => {
      chosen.timer = undefined;
      // What is over shows by the clock already; watchers are to look again.
      if (untilMs <= this.#clock.now()) this.#tell(tenantId, userId);
      else this.#armUntil(tenantId, userId, chosen);
    });
  }

  #armGrace(): void {
    if (this.#graceTimer !== undefined) return;
    const [next] = this.#lost;
    if (next === undefined) return;
    this.#graceTimer = this.#clock.after(Math.max(next.dueMs - this.#clock.monotonic(), 1), () => {
      this.#graceTimer = undefined;
      const nowMs = this.#clock.monotonic();
      for (const lost of this.#lost) {
        if (lost.dueMs > nowMs) break;
        this.#endGrace(lost);
      }
      this.#armGrace();
    });
  }

  #endGrace(lost: Lost): void {
    this.#change(lost.tenantId, lost.userId, (place) => this.#forget(place, lost), lost.lostAtMs);
  }

  #forget(place: Place, lost: Lost): void {
    lost.chosen?.timer?.cancel();
    this.#lost.delete(lost);
    const left = place.lost?.filter((each) => each !== lost) ?? [];
    place.lost = left.length === 0 ? undefined : left;
  }
}

function same(a: PresenceChoice, b: PresenceChoice): boolean {
  return a === b || (a.status === b.status && a.text === b.text && a.untilMs === b.untilMs);
}
