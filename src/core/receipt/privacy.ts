// Whose reading is hidden: asked for every marker that is told, so kept at hand.

import type { Archive } from "../../ports/archive.js";
import type { Awaitable } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";

/** Users whose setting is kept in memory, at most. */
const MAX_KNOWN = 20_000;

export class ReadingPrivacy {
  readonly #archive: Archive;
  /** The least recently learnt first. */
  readonly #known = new Map<string, boolean>();
  /** Counts changes: what was read from the archive before one may be older than it. */
  #changes = 0;

  constructor(archive: Archive) {
    this.#archive = archive;
  }

  hidden(tenantId: string, userId: string): Awaitable<boolean> {
    const known = this.#known.get(keyOf(tenantId, userId));
    if (known !== undefined) return known;
    const changes = this.#changes;
    const stored = this.#archive.readingHidden(tenantId, userId);
    if (!isPromise(stored)) return this.#learn(tenantId, userId, stored);
    return stored.then((hidden) =>
      changes === this.#changes ? this.#learn(tenantId, userId, hidden) : this.hidden(tenantId, userId),
    );
  }

  async set(tenantId: string, userId: string, hidden: boolean): Promise<void> {
    await this.#archive.hideReading(tenantId, userId, hidden);
    this.#changes++;
    this.#learn(tenantId, userId, hidden);
  }

  #learn(tenantId: string, userId: string, hidden: boolean): boolean {
    const key = keyOf(tenantId, userId);
    this.#known.delete(key);
    this.#known.set(key, hidden);
    if (this.#known.size > MAX_KNOWN) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    return hidden;
  }
}

function keyOf(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}
