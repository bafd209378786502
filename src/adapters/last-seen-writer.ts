// Keeps when users were last online: collected, then written together, so that a leaving crowd costs a few commits.

import type { LastSeenDocument } from "../gen/trunkline/store/v1/documents_pb.js";
import { LastSeenVisibility } from "../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Awaitable } from "../ports/room-ref.js";
import type { LastSeenChange, UserArchive } from "../ports/user-archive.js";

const COLLECT_MS = 1_000;
/** More in one commit would hold up the publishes that share it. */
const WRITTEN_AT_ONCE = 500;
/** Beyond, while the archive is away, it is forgotten when users were last online. */
const MOST_WAITING = 100_000;

export class LastSeenWriter {
  readonly #archive: UserArchive;
  readonly #clock: Clock;
  readonly #onFault: (cause: unknown) => void;
  readonly #waiting = new Map<string, LastSeenChange & { readonly atMs: number }>();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(archive: UserArchive, clock: Clock, onFault: (cause: unknown) => void) {
    this.#archive = archive;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  saw(tenantId: string, userId: string, atMs: number): void {
    const key = `${tenantId}/${userId}`;
    if (this.#waiting.size < MOST_WAITING || this.#waiting.has(key)) this.#waiting.set(key, { tenantId, userId, atMs });
    this.#arm();
  }

  /** When users were last online, of those of whom it is known and may be told. Empty while the archive is away. */
  read(tenantId: string, userIds: readonly string[]): Map<string, number> | Promise<Map<string, number>> {
    const merge = (documents: readonly (LastSeenDocument | undefined)[]): Map<string, number> => {
      const seen = new Map<string, number>();
      for (const [index, userId] of userIds.entries()) {
        const document = documents[index];
        if (document?.visibility === LastSeenVisibility.NOBODY) continue;
        const atMs = this.#waiting.get(`${tenantId}/${userId}`)?.atMs ?? document?.atMs ?? 0;
        if (atMs > 0) seen.set(userId, atMs);
      }
      return seen;
    };
    let documents: Awaitable<readonly (LastSeenDocument | undefined)[]>;
    try {
      documents = this.#archive.lastSeen(tenantId, userIds);
    } catch {
      return new Map();
    }
    if (Array.isArray(documents)) return merge(documents);
    return Promise.resolve(documents).then(merge, () => new Map());
  }

  /** Writes what waits. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#writing;
    await this.#write(false);
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(COLLECT_MS, () => {
      this.#timer = undefined;
      this.#writing ??= this.#write(true).finally(() => {
        this.#writing = undefined;
      });
    });
  }

  async #write(again: boolean): Promise<void> {
    const changes = [...this.#waiting];
    for (let from = 0; from < changes.length; from += WRITTEN_AT_ONCE) {
      const some = changes.slice(from, from + WRITTEN_AT_ONCE);
      try {
        await this.#archive.putLastSeen(some.map(([, change]) => change));
      } catch (cause) {
        this.#onFault(cause);
        if (again) this.#arm();
        return;
      }
      for (const [key, change] of some) if (this.#waiting.get(key) === change) this.#waiting.delete(key);
    }
    if (again && this.#waiting.size > 0) this.#arm();
  }
}
