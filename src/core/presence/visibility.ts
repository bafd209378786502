// Who may know of whom: those who share a room, and services.

import type { Identity } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import { Places } from "../limit/places.js";
import { isAnnouncements } from "../room/announcements.js";
import { isService } from "../room/permissions.js";

/** How long the rooms of a user are taken as read, in milliseconds: so late a new companion is seen, and a former one no longer. */
const TRUSTED_MS = 10_000;
/** Users whose rooms are remembered. */
const REMEMBERED = 10_000;
/** Rooms of a user that count; who is in more may not be recognised as a companion by those beyond. */
const MOST_ROOMS = 5_000;
const PAGE = 500;
const READS_AT_ONCE = 32;

interface Known {
  readonly rooms: ReadonlySet<string>;
  readonly readAtMs: number;
}

export class Visibility {
  readonly #deps: Pick<CoreDependencies, "archive" | "clock">;
  readonly #known = new Map<string, Known>();
  readonly #reads = new Places(READS_AT_ONCE);

  constructor(deps: Pick<CoreDependencies, "archive" | "clock">) {
    this.#deps = deps;
  }

  /** Those of the users that this one may see: themselves, and who shares a room with them. */
  async visible(identity: Identity, userIds: Iterable<string>): Promise<Set<string>> {
    if (isService(identity)) return new Set(userIds);
    const { tenantId, userId } = identity;
    const own = await this.#rooms(tenantId, userId);
    const seen = await Promise.all(
      Array.from(userIds, async (other) => {
        if (other === userId) return other;
        return shareOne(own, await this.#rooms(tenantId, other)) ? other : undefined;
      }),
    );
    return new Set(seen.filter((other) => other !== undefined));
  }

  async #rooms(tenantId: string, userId: string): Promise<ReadonlySet<string>> {
    const key = `${tenantId}/${userId}`;
    const nowMs = this.#deps.clock.monotonic();
    const known = this.#known.get(key);
    if (known !== undefined && nowMs - known.readAtMs < TRUSTED_MS) return known.rooms;
    const rooms = await this.#reads.run(() => this.#read(tenantId, userId));
    this.#known.delete(key);
    this.#known.set(key, { rooms, readAtMs: nowMs });
    // Maps iterate in order of insertion: what was read longest ago goes.
    for (const [oldest] of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
    return rooms;
  }

  async #read(tenantId: string, userId: string): Promise<ReadonlySet<string>> {
    const rooms = new Set<string>();
    let after = "";
    while (rooms.size < MOST_ROOMS) {
      const page = await this.#deps.archive.roomsOf(tenantId, userId, { after, limit: PAGE });
      // Whoever announces to a tenant is not thereby with its other announcers.
      for (const roomId of page) if (!isAnnouncements(roomId)) rooms.add(roomId);
      if (page.length < PAGE) break;
      after = page.at(-1) ?? "";
    }
    return rooms;
  }
}

function shareOne(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const [fewer, more] = a.size < b.size ? [a, b] : [b, a];
  for (const roomId of fewer) if (more.has(roomId)) return true;
  return false;
}
