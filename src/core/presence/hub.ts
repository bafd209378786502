// Whose presence is watched on this node, and when changes are told: together, once a tick, as they are then.

import type { Presence } from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { Awaitable } from "../../ports/room-ref.js";
import type { DirectoryWatch } from "../../ports/session-directory.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import { wirePresence } from "./wire.js";

/** From a change to its being told, in milliseconds: what changes again meanwhile is told once. */
const TICK_MS = 50;
const RETRY_MS = 1_000;

/** Whoever follows users: a session, a room, a service. */
export interface PresenceReader {
  /** The presence of a watched user has changed. */
  collect(presence: Presence): void;
  /** All changes of this tick have been collected. */
  flush(): void;
}

interface Watched {
  readonly tenantId: string;
  readonly userId: string;
  readonly readers: Set<PresenceReader>;
  listening: Awaitable<DirectoryWatch> | undefined;
  watch: DirectoryWatch | undefined;
}

export class PresenceHub {
  readonly #deps: Pick<CoreDependencies, "clock" | "directory" | "telemetry">;
  readonly #users = new Map<string, Watched>();
  #changed = new Set<Watched>();
  #timer: Timer | undefined;
  #telling = false;
  #stopped = false;

  constructor(deps: Pick<CoreDependencies, "clock" | "directory" | "telemetry">) {
    this.#deps = deps;
  }

  /** Resolves once changes of the user reach the reader. */
  watch(tenantId: string, userId: string, reader: PresenceReader): Awaitable<void> {
    const key = `${tenantId}/${userId}`;
    let watched = this.#users.get(key);
    if (watched === undefined) {
      watched = { tenantId, userId, readers: new Set(), listening: undefined, watch: undefined };
      this.#users.set(key, watched);
    }
    watched.readers.add(reader);
    return this.#listen(key, watched);
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

  #forget(key: string, watched: Watched): void {
    this.#users.delete(key);
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
    for (const [tenantId, users] of tenants) {
      try {
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
        throw error;
      }
    }
  }
}
