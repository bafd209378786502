// Whose reading is hidden: asked for every marker that is told, so kept at hand.

import type { Archive } from "../../ports/archive.js";
import type { Awaitable } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { UserNotices } from "../cluster/user-notices.js";

/** Users whose setting is kept in memory, at most. */
const MAX_KNOWN = 20_000;

interface Known {
  readonly hidden: boolean;
  /** As UserNotices says. */
  readonly askedAtMs: number;
}

export class ReadingPrivacy {
  readonly #archive: Archive;
  readonly #notices: UserNotices;
  /** The least recently learnt first. */
  readonly #known = new Map<string, Known>();
  /** Counts changes: what was read from the archive before one may be older than it. */
  #changes = 0;

  constructor(archive: Archive, notices: UserNotices) {
    this.#archive = archive;
    this.#notices = notices;
    notices.onChanged(
      (tenantId, userId) => {
        this.#changes++;
        this.#known.delete(keyOf(tenantId, userId));
      },
      () => {
        this.#changes++;
        this.#known.clear();
      },
    );
  }

  hidden(tenantId: string, userId: string): Awaitable<boolean> {
    const known = this.#known.get(keyOf(tenantId, userId));
    if (known !== undefined && this.#notices.age(known.askedAtMs) !== "old") return known.hidden;
    const changes = this.#changes;
    const askedAtMs = this.#notices.now;
    const stored = this.#archive.readingHidden(tenantId, userId);
    if (!isPromise(stored)) return this.#learn(tenantId, userId, { hidden: stored, askedAtMs });
    return stored.then((hidden) =>
      changes === this.#changes ? this.#learn(tenantId, userId, { hidden, askedAtMs }) : this.hidden(tenantId, userId),
    );
  }

  /** Resolves once every node judges by it. */
  async set(tenantId: string, userId: string, hidden: boolean): Promise<void> {
    await this.#archive.hideReading(tenantId, userId, hidden);
    this.#changes++;
    this.#learn(tenantId, userId, { hidden, askedAtMs: this.#notices.now });
    await this.#notices.changed(tenantId, userId);
  }

  #learn(tenantId: string, userId: string, known: Known): boolean {
    const key = keyOf(tenantId, userId);
    this.#known.delete(key);
    if (this.#notices.remembers(known.askedAtMs)) this.#known.set(key, known);
    if (this.#known.size > MAX_KNOWN) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    return known.hidden;
  }
}

function keyOf(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}
