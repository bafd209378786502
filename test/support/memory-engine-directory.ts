// The memory engine's session directory: several nodes over one list of sessions, looked through for each answer.

import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { LastSeenVisibility, PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import type { Awaitable } from "../../src/ports/room-ref.js";
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
} from "../../src/ports/session-directory.js";
import type { UserArchive } from "../../src/ports/user-archive.js";

/** How long after the list was emptied the nodes see it, in milliseconds. */
const NOTICED_MS = 1_000;

/** How long the sessions of a node that is gone still count, in milliseconds. */
export const MEMORY_LEASE_MS = 10_000;

const HERE: PresenceChoice = { status: PresenceStatus.ONLINE, text: "", untilMs: undefined };
const GONE: PresenceChoice = { status: PresenceStatus.OFFLINE, text: "", untilMs: undefined };

interface Entry {
  readonly session: LocalSession;
  readonly node: MemorySessionDirectory;
  choice: PresenceChoice;
  /** The later wins among equals. */
  order: number;
  /** Undefined: it is live. */
  lostAtMs: number | undefined;
  /** When it counts no more, monotonic. */
  endsMs: number;
}

interface Watch {
  readonly node: MemorySessionDirectory;
  readonly user: string;
  readonly listener: () => void;
}

export interface MemoryDirectoryOptions {
  readonly archive: () => UserArchive;
  readonly clock: Clock;
  readonly graceMs?: number;
  /** Answers are promises. Default false. */
  readonly answersLater?: boolean;
}

/** What all nodes share. */
export class MemoryDirectory {
  readonly archive: () => UserArchive;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly answersLater: boolean;
  entries: Entry[] = [];
  /** What was in a list that was emptied, until its nodes have said it again. */
  forgotten: Entry[] = [];
  watches: Watch[] = [];
  order = 0;
  /** Who was shown to others how, last; whoever is not there was offline. */
  readonly #shown = new Map<string, PresenceChoice>();
  readonly #timers = new Set<Timer>();

  constructor({ archive, clock, graceMs = PRESENCE_GRACE_MS, answersLater = false }: MemoryDirectoryOptions) {
    this.archive = archive;
    this.clock = clock;
    this.graceMs = graceMs;
    this.answersLater = answersLater;
  }

  node(): MemorySessionDirectory {
    return new MemorySessionDirectory(this);
  }

  of(tenantId: string, userId: string): readonly Entry[] {
    return this.entries.filter(({ session }) => session.tenantId === tenantId && session.userId === userId);
  }

  live(tenantId: string): readonly Entry[] {
    return this.entries.filter(({ session, lostAtMs }) => session.tenantId === tenantId && lostAtMs === undefined);
  }

  /** What others see. */
  shown(tenantId: string, userId: string): PresenceChoice {
    const nowMs = this.clock.now();
    const inForce = this.of(tenantId, userId).map(({ choice, order }) =>
      choice.untilMs !== undefined && choice.untilMs <= nowMs ? { choice: HERE, order: 0 } : { choice, order },
    );
    inForce.sort((a, b) => strength(b.choice.status) - strength(a.choice.status) || b.order - a.order);
    const strongest = inForce[0]?.choice ?? GONE;
    return strongest.status === PresenceStatus.INVISIBLE ? GONE : strongest;
  }

  /** Whatever has changed of a user has changed. */
  changed(tenantId: string, userId: string, seenAtMs = this.clock.now()): void {
    const user = `${tenantId}/${userId}`;
    const before = this.#shown.get(user) ?? GONE;
    const after = this.shown(tenantId, userId);
    this.#shown.set(user, after);
    if (before.status !== PresenceStatus.OFFLINE && after.status === PresenceStatus.OFFLINE) {
      void this.archive()
        .putLastSeen([{ tenantId, userId, atMs: seenAtMs }])
        .catch(() => {});
    }
    if (JSON.stringify(before) !== JSON.stringify(after)) this.tell(user);
  }

  tell(user: string): void {
    for (const watch of [...this.watches]) if (watch.user === user && this.watches.includes(watch)) watch.listener();
  }

  /** Looks at a user again when something of theirs ends by itself. */
  later(delayMs: number, action: () => void): void {
    const timer = this.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
  }

  /** The list of sessions is gone. The nodes see it soon, and say again what they had. */
  empty(): void {
    this.forgotten.push(...this.entries.filter(({ lostAtMs }) => lostAtMs === undefined));
    this.entries = [];
    // Nobody is told, and whoever asks meanwhile sees nobody: those who come back have changed.
    this.#shown.clear();
    this.later(NOTICED_MS, () => {
      const forgotten = this.forgotten;
      this.forgotten = [];
      for (const entry of forgotten) this.add(entry);
    });
  }

  /** An entry of a live session, which of two of a device has the higher attempt. */
  add(entry: Entry): void {
    const { session } = entry;
    const { tenantId, userId, device, attempt } = session;
    const same = this.of(tenantId, userId).filter((each) => each.session.device.deviceId === device.deviceId);
    this.entries.push(entry);
    for (const each of same) if (each.lostAtMs !== undefined) this.remove(each);
    this.changed(tenantId, userId);
    const rivals = same.filter(({ lostAtMs }) => lostAtMs === undefined);
    if (rivals.some((each) => each.session.attempt > attempt)) session.close(CloseCode.REPLACED, "replaced");
    for (const rival of rivals) {
      if (rival.session.attempt <= attempt) rival.session.close(CloseCode.REPLACED, "replaced");
    }
  }

  /** A node dies: its sessions count until its lease ends. */
  crash(node: MemorySessionDirectory): void {
    node.dead = true;
    this.forgotten = this.forgotten.filter((entry) => entry.node !== node);
    const atMs = this.clock.now();
    this.watches = this.watches.filter((watch) => watch.node !== node);
    for (const entry of this.entries) {
      if (entry.node === node && entry.lostAtMs === undefined) this.end(entry, MEMORY_LEASE_MS, atMs);
    }
  }

  /** An entry counts so much longer, and no more. */
  end(entry: Entry, countsMs: number, lostAtMs: number): void {
    entry.lostAtMs = lostAtMs;
    entry.endsMs = this.clock.monotonic() + countsMs;
    this.later(countsMs, () => this.remove(entry, lostAtMs));
  }

  remove(entry: Entry, seenAtMs?: number): void {
    this.forgotten = this.forgotten.filter((each) => each !== entry);
    if (!this.entries.includes(entry)) return;
    this.entries = this.entries.filter((each) => each !== entry);
    this.changed(entry.session.tenantId, entry.session.userId, seenAtMs);
  }

  cancel(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}

/** One node's. */
export class MemorySessionDirectory implements SessionDirectory {
  readonly current = true;
  /** Its process has died: nothing that it does counts. */
  dead = false;
  readonly #shared: MemoryDirectory;

  constructor(shared: MemoryDirectory) {
    this.#shared = shared;
  }

  connect(session: LocalSession): void {
    const shared = this.#shared;
    if (this.dead) return;
    const { tenantId, userId, device } = session;
    const same = shared.of(tenantId, userId).filter((each) => each.session.device.deviceId === device.deviceId);
    const { choice, order } = same.findLast(({ lostAtMs }) => lostAtMs === undefined) ??
      same.at(-1) ?? { choice: HERE, order: 0 };
    shared.add({ session, node: this, choice, order, lostAtMs: undefined, endsMs: 0 });
  }

  disconnect(session: LocalSession, abrupt: boolean): void {
    const shared = this.#shared;
    const entry = this.#entryOf(session);
    if (entry === undefined) return;
    const alone = shared
      .live(session.tenantId)
      .every(
        (each) =>
          each === entry ||
          each.session.userId !== session.userId ||
          each.session.device.deviceId !== session.device.deviceId,
      );
    if (abrupt && alone) shared.end(entry, shared.graceMs, shared.clock.now());
    else shared.remove(entry);
  }

  choose(session: LocalSession, choice: PresenceChoice): void {
    const entry = this.#entryOf(session);
    if (entry !== undefined) this.#set([entry], choice);
  }

  chooseAll(tenantId: string, userId: string, choice: PresenceChoice): Awaitable<number> {
    return this.#answer(() => {
      const live = this.#shared.of(tenantId, userId).filter(({ lostAtMs }) => lostAtMs === undefined);
      this.#set(live, choice);
      return live.length;
    });
  }

  async setLastSeenVisibility(tenantId: string, userId: string, visibility: LastSeenVisibility): Promise<void> {
    await this.#shared.archive().putLastSeen([{ tenantId, userId, visibility }]);
    this.#shared.tell(`${tenantId}/${userId}`);
  }

  async presences(tenantId: string, userIds: readonly string[]): Promise<readonly UserPresence[]> {
    const seen = await this.#lastSeen(tenantId, userIds);
    return userIds.map((userId, index) => {
      const shown = this.#shared.shown(tenantId, userId);
      return { ...shown, userId, lastSeenMs: shown.status === PresenceStatus.OFFLINE ? seen[index] : undefined };
    });
  }

  countOnline(tenantId: string, userIds: Iterable<string>): Awaitable<number> {
    return this.#answer(() => [...userIds].filter((userId) => this.#isOnline(tenantId, userId)).length);
  }

  online(tenantId: string, after: string, limit: number): Awaitable<readonly UserPresence[]> {
    return this.#answer(() => {
      const users = new Set(
        this.#shared.entries.flatMap(({ session }) => (session.tenantId === tenantId ? [session.userId] : [])),
      );
      return [...users]
        .filter((userId) => userId > after && this.#isOnline(tenantId, userId))
        .sort()
        .slice(0, limit)
        .map((userId) => ({ ...this.#shared.shown(tenantId, userId), userId, lastSeenMs: undefined }));
    });
  }

  watch(tenantId: string, userId: string, listener: () => void): Awaitable<DirectoryWatch> {
    const watch: Watch = { node: this, user: `${tenantId}/${userId}`, listener };
    const shared = this.#shared;
    shared.watches.push(watch);
    return this.#answer(() => ({
      close: () => {
        shared.watches = shared.watches.filter((each) => each !== watch);
      },
    }));
  }

  sessions(tenantId: string, userId: string): Awaitable<readonly SessionEntry[]> {
    return this.#answer(() =>
      this.#shared
        .live(tenantId)
        .map(({ session }) => session)
        .filter((session) => session.userId === userId)
        .sort((a, b) => a.connectedAtMs - b.connectedAtMs),
    );
  }

  close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Awaitable<number> {
    return this.#answer(() => {
      const selected = this.#shared.live(tenantId).filter(({ session }) => {
        if ("sessionId" in which) return session.sessionId === which.sessionId;
        const { deviceId } = session.device;
        const { userId, deviceId: only = deviceId, exceptDeviceId } = which;
        return session.userId === userId && deviceId === only && deviceId !== exceptDeviceId;
      });
      for (const { session } of selected) session.close(code, reason);
      return selected.length;
    });
  }

  async stop(): Promise<void> {
    const shared = this.#shared;
    const own = [...shared.entries, ...shared.forgotten].filter(({ node }) => node === this);
    for (const entry of own) shared.remove(entry, entry.lostAtMs);
    shared.watches = shared.watches.filter(({ node }) => node !== this);
    if (shared.entries.length === 0 && shared.forgotten.length === 0) shared.cancel();
    // What is kept is written once the archive has taken what came after it.
    await shared
      .archive()
      .putLastSeen([])
      .catch(() => {});
  }

  #answer<T>(answer: () => T): Awaitable<T> {
    return this.#shared.answersLater ? Promise.resolve().then(answer) : answer();
  }

  async #lastSeen(tenantId: string, userIds: readonly string[]): Promise<readonly (number | undefined)[]> {
    try {
      const documents = await this.#shared.archive().lastSeen(tenantId, userIds);
      return documents.map((document) =>
        document === undefined || document.visibility === LastSeenVisibility.NOBODY || document.atMs === 0
          ? undefined
          : document.atMs,
      );
    } catch {
      return [];
    }
  }

  #isOnline(tenantId: string, userId: string): boolean {
    return this.#shared.shown(tenantId, userId).status !== PresenceStatus.OFFLINE;
  }

  #entryOf(session: LocalSession): Entry | undefined {
    const { entries, forgotten } = this.#shared;
    return [...entries, ...forgotten].find((each) => each.session === session && each.lostAtMs === undefined);
  }

  #set(entries: readonly Entry[], choice: PresenceChoice): void {
    const shared = this.#shared;
    const order = ++shared.order;
    for (const entry of entries) {
      entry.choice = choice;
      entry.order = order;
      const { tenantId, userId } = entry.session;
      shared.changed(tenantId, userId);
      const { untilMs } = choice;
      if (untilMs !== undefined) {
        shared.later(Math.max(untilMs - shared.clock.now(), 0), () => shared.changed(tenantId, userId));
      }
    }
  }
}
