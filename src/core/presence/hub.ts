// Whose presence is watched on this node, from whom they hide, and when changes are told: together, once a tick, as they are then.

import type { Presence } from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { Awaitable } from "../../ports/room-ref.js";
import type { DirectoryWatch } from "../../ports/session-directory.js";
import { isPromise } from "../awaitable.js";
import type { UserNotices } from "../cluster/user-notices.js";
import type { CoreDependencies } from "../core.js";
import type { Blocks } from "../room/blocks.js";
import { type Rechecked, Rechecks } from "./rechecks.js";
import { wirePresence } from "./wire.js";

/** From a change to its being told, in milliseconds: what changes again meanwhile is told once. */
const TICK_MS = 50;
const RETRY_MS = 1_000;
/** Users of whom it is asked again in a second, at most, whom they have blocked. */
const ASKED_AGAIN = 100;

/** Whoever follows users: a session, a room, a service. */
export interface PresenceReader {
  /** Whether it is held to blocks: not a service. */
  readonly heedsBlocks: boolean;
  /** The presence of a watched user has changed. */
  collect(presence: Presence): void;
  /** All changes of this tick have been collected. */
  flush(): void;
  /** A watched user has blocked another, or no longer does: to that one they look different from now on. */
  blockChanged(userId: string, other: string): void;
}

interface Watched extends Rechecked {
  readonly tenantId: string;
  readonly userId: string;
  readonly readers: Set<PresenceReader>;
  listening: Awaitable<DirectoryWatch> | undefined;
  watch: DirectoryWatch | undefined;
  /** Whom they have blocked. Undefined: not known, which nobody needed so far. Replaced, never changed. */
  blocked: ReadonlySet<string> | undefined;
  /** When that was asked for, as UserNotices says. */
  blockedAtMs: number;
  /** Whether it may have changed since. */
  doubtful: boolean;
  /** Set while that is asked: what has changed meanwhile, the last of each. */
  asking: { readonly done: Promise<void>; readonly changed: Map<string, boolean> } | undefined;
}

export class PresenceHub {
  readonly #deps: Pick<CoreDependencies, "clock" | "directory" | "telemetry">;
  readonly #blocks: Blocks;
  readonly #notices: UserNotices;
  readonly #users = new Map<string, Watched>();
  /** Of whom a change of blocks may never have been told: another node could not reach this one, or did not know of it. */
  readonly #rechecks: Rechecks;
  #changed = new Set<Watched>();
  #timer: Timer | undefined;
  #telling = false;
  #stopped = false;

  constructor(deps: Pick<CoreDependencies, "clock" | "directory" | "telemetry">, blocks: Blocks, notices: UserNotices) {
    this.#deps = deps;
    this.#blocks = blocks;
    this.#notices = notices;
    this.#rechecks = new Rechecks(deps.clock, ASKED_AGAIN);
    blocks.onChanged((...change) => this.#blockChanged(...change));
    // Where all may have changed, each shows with the user's next change, or in the round of rechecks.
    notices.onChanged((tenantId, userId) => this.#doubt(tenantId, userId), ignore);
  }

  /** Resolves once changes of the user reach the reader, and `hides` knows of the user where the reader heeds blocks. */
  watch(tenantId: string, userId: string, reader: PresenceReader): Awaitable<void> {
    const key = `${tenantId}/${userId}`;
    let watched = this.#users.get(key);
    if (watched === undefined) {
      const made: Watched = {
        tenantId,
        userId,
        readers: new Set(),
        listening: undefined,
        watch: undefined,
        blocked: undefined,
        blockedAtMs: 0,
        doubtful: false,
        asking: undefined,
        recheck: () => this.#recheck(made),
      };
      watched = made;
      this.#users.set(key, watched);
    }
    if (reader.heedsBlocks && !this.#notices.alone) this.#rechecks.add(watched);
    watched.readers.add(reader);
    const listening = this.#listen(key, watched);
    const asking = reader.heedsBlocks ? this.#askBlocks(watched) : undefined;
    if (listening === undefined || asking === undefined) return listening ?? asking;
    return Promise.all([listening, asking]).then(ignore);
  }

  /** Whether a watched user looks offline to `other`, as of now: they have blocked them, or it is not known. */
  hides(tenantId: string, userId: string, other: string): boolean {
    const watched = this.#users.get(`${tenantId}/${userId}`);
    return watched?.blocked?.has(other) ?? true;
  }

  /** Those of the watched users who hide from anybody: so that of all others nobody need be asked. */
  hiding(tenantId: string, userIds: readonly string[]): readonly string[] {
    return userIds.filter((userId) => this.#users.get(`${tenantId}/${userId}`)?.blocked?.size !== 0);
  }

  unwatch(tenantId: string, userId: string, reader: PresenceReader): void {
    const key = `${tenantId}/${userId}`;
    const watched = this.#users.get(key);
    if (watched === undefined) return;
    watched.readers.delete(reader);
    if (watched.readers.size === 0) this.#forget(key, watched);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#rechecks.stop();
    for (const { watch } of this.#users.values()) watch?.close();
    this.#users.clear();
  }

  #listen(key: string, watched: Watched): Awaitable<void> {
    if (watched.watch !== undefined) return;
    watched.listening ??= this.#deps.directory.watch(watched.tenantId, watched.userId, () => this.#mark(watched));
    if (!isPromise(watched.listening)) {
      watched.watch = watched.listening;
      return;
    }
    return watched.listening.then(
      (watch) => {
        if (this.#users.get(key) === watched) watched.watch = watch;
        else watch.close();
      },
      (error: unknown) => {
        watched.listening = undefined;
        throw error;
      },
    );
  }

  // — blocks —

  #askBlocks(watched: Watched): Promise<void> | undefined {
    if (watched.asking !== undefined) return watched.asking.done;
    if (watched.blocked !== undefined && !watched.doubtful) return undefined;
    return this.#ask(watched, true);
  }

  /** Nobody waits for it: where it cannot be told now, the next round asks again. Never rejects. */
  async #recheck(watched: Watched): Promise<void> {
    if (![...watched.readers].some(heedsBlocks)) this.#rechecks.remove(watched);
    // Else it is asked for already.
    else if (watched.blocked !== undefined && !watched.doubtful && watched.asking === undefined)
      await this.#ask(watched, false)?.catch(ignore);
  }

  /** `urgent`: where it cannot be told now, it is asked for again with the next tick. */
  #ask(watched: Watched, urgent: boolean): Promise<void> | undefined {
    const askedAtMs = this.#notices.now;
    watched.doubtful = false;
    const asked = this.#blocks.blockedBy(watched.tenantId, watched.userId);
    if (!isPromise(asked)) {
      this.#learn(watched, asked, askedAtMs);
      return undefined;
    }
    const changed = new Map<string, boolean>();
    const done = Promise.resolve(asked).then(
      (blocked) => {
        watched.asking = undefined;
        this.#learn(watched, changed.size === 0 ? blocked : changedBy(blocked, changed), askedAtMs);
      },
      (error: unknown) => {
        watched.asking = undefined;
        if (urgent) {
          watched.doubtful = true;
          // Who is hidden meanwhile is told of as soon as it is known.
          this.#mark(watched);
        }
        throw error;
      },
    );
    watched.asking = { done, changed };
    return done;
  }

  #learn(watched: Watched, blocked: ReadonlySet<string>, askedAtMs: number): void {
    const before = watched.blocked;
    watched.blocked = blocked;
    watched.blockedAtMs = askedAtMs;
    if (before === undefined || before === blocked) return;
    for (const other of before) if (!blocked.has(other)) this.#tellBlock(watched, other);
    for (const other of blocked) if (!before.has(other)) this.#tellBlock(watched, other);
  }

  #tellBlock({ readers, userId }: Watched, other: string): void {
    for (const reader of [...readers]) if (reader.heedsBlocks) reader.blockChanged(userId, other);
  }

  /** Something may have changed: with the next tick it is known what. */
  #doubt(tenantId: string, userId: string): void {
    const watched = this.#users.get(`${tenantId}/${userId}`);
    if (watched?.blocked === undefined && watched?.asking === undefined) return;
    watched.doubtful = true;
    this.#mark(watched);
  }

  #blockChanged(tenantId: string, userId: string, other: string, blocked: boolean): void {
    const watched = this.#users.get(`${tenantId}/${userId}`);
    if (watched === undefined) return;
    watched.asking?.changed.set(other, blocked);
    if (watched.blocked === undefined) return;
    watched.blocked = changedBy(watched.blocked, new Map([[other, blocked]]));
    this.#tellBlock(watched, other);
  }

  #forget(key: string, watched: Watched): void {
    this.#users.delete(key);
    this.#rechecks.remove(watched);
    this.#changed.delete(watched);
    watched.watch?.close();
  }

  #mark(watched: Watched): void {
    if (watched.readers.size === 0) return;
    this.#changed.add(watched);
    this.#arm(TICK_MS);
  }

  #arm(delayMs: number): void {
    if (this.#timer !== undefined || this.#telling || this.#stopped) return;
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#telling = true;
      this.#tell().then(
        () => this.#told(TICK_MS),
        (cause: unknown) => {
          this.#deps.telemetry.emit("fault", { where: "presence", cause });
          this.#told(RETRY_MS);
        },
      );
    });
  }

  #told(nextMs: number): void {
    this.#telling = false;
    if (this.#changed.size > 0) this.#arm(nextMs);
  }

  async #tell(): Promise<void> {
    const changed = this.#changed;
    this.#changed = new Set();
    const tenants = new Map<string, Watched[]>();
    for (const watched of changed) {
      const same = tenants.get(watched.tenantId);
      if (same === undefined) tenants.set(watched.tenantId, [watched]);
      else same.push(watched);
    }
    const failures: unknown[] = [];
    for (const [tenantId, users] of tenants) {
      try {
        for (const watched of users) {
          // What nobody could tell this node shows with the user's next change, if no recheck has found it.
          if (watched.blocked !== undefined && this.#notices.age(watched.blockedAtMs) === "old")
            watched.doubtful = true;
          if ((watched.blocked === undefined || watched.doubtful) && [...watched.readers].some(heedsBlocks)) {
            await this.#askBlocks(watched);
          }
        }
        const asked = this.#deps.directory.presences(
          tenantId,
          users.map(({ userId }) => userId),
        );
        const presences = isPromise(asked) ? await asked : asked;
        const readers = new Set<PresenceReader>();
        for (const [index, watched] of users.entries()) {
          const presence = presences[index];
          if (presence === undefined) continue;
          const told = wirePresence(presence);
          for (const reader of watched.readers) {
            reader.collect(told);
            readers.add(reader);
          }
        }
        for (const reader of readers) reader.flush();
      } catch (error) {
        for (const watched of users) if (watched.readers.size > 0) this.#changed.add(watched);
        failures.push(error);
      }
    }
    // All others have been told.
    const [failure] = failures;
    if (failure !== undefined) throw failure;
  }
}

function heedsBlocks(reader: PresenceReader): boolean {
  return reader.heedsBlocks;
}

function changedBy(blocked: ReadonlySet<string>, changed: ReadonlyMap<string, boolean>): ReadonlySet<string> {
  const now = new Set(blocked);
  for (const [userId, is] of changed) {
    if (is) now.add(userId);
    else now.delete(userId);
  }
  return now;
}

function ignore(): void {}
