// Who may reach whom: two users know each other while they share a room. Remembered for a short time.

import { RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import { roomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";

/** How long an answer holds, in milliseconds: a room that was left goes on counting so long, one just joined is found soon. */
const SHARED_MS = 10_000;
const STRANGERS_MS = 1_000;
/** Answers remembered, at most; the oldest are forgotten. */
const MAX_PAIRS = 10_000;
/** Rooms of a user read at once. */
const PAGE_ROOMS = 500;

type Dependencies = Pick<CoreDependencies, "archive" | "clock">;

interface Pair {
  readonly share: Promise<boolean>;
  untilMs: number;
}

export class Acquaintances {
  readonly #deps: Dependencies;
  readonly #pairs = new Map<string, Pair>();

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  /** Whether both are members of some room. Rejects when the store is away. */
  share(tenantId: string, one: string, other: string): Promise<boolean> {
    const nowMs = this.#deps.clock.monotonic();
    const key = `${tenantId}/${[one, other].sort().join(" ")}`;
    const known = this.#pairs.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.share;
    const pair: Pair = { share: this.#look(tenantId, one, other), untilMs: nowMs + STRANGERS_MS };
    this.#remember(key, pair);
    pair.share.then(
      (share) => {
        if (share) pair.untilMs = nowMs + SHARED_MS;
      },
      () => {
        if (this.#pairs.get(key) === pair) this.#pairs.delete(key);
      },
    );
    return pair.share;
  }

  #remember(key: string, pair: Pair): void {
    this.#pairs.delete(key);
    this.#pairs.set(key, pair);
    if (this.#pairs.size <= MAX_PAIRS) return;
    const oldest = this.#pairs.keys().next();
    if (oldest.done !== true) this.#pairs.delete(oldest.value);
  }

  /** Both lists are in order: the lower one goes on until they meet. */
  async #look(tenantId: string, one: string, other: string): Promise<boolean> {
    const mine = new RoomIds(this.#deps, tenantId, one);
    const theirs = new RoomIds(this.#deps, tenantId, other);
    for (;;) {
      const left = mine.first ?? (await mine.load());
      const right = theirs.first ?? (await theirs.load());
      if (left === undefined || right === undefined) return false;
      // Everybody of the tenant has the announcements in common.
      if (left === right && !isAnnouncements(left)) {
        const found = await this.#deps.archive.room(roomRef(tenantId, left));
        if (found?.room !== undefined && found.room.status !== RoomStatus.DELETED) return true;
      }
      if (left <= right) mine.pass();
      if (right <= left) theirs.pass();
    }
  }
}

/** The rooms of a user in order, read page by page. */
class RoomIds {
  readonly #archive: Dependencies["archive"];
  readonly #tenantId: string;
  readonly #userId: string;
  #page: readonly string[] = [];
  #at = 0;
  #ended = false;

  constructor({ archive }: Dependencies, tenantId: string, userId: string) {
    this.#archive = archive;
    this.#tenantId = tenantId;
    this.#userId = userId;
  }

  /** Undefined: `load` first. */
  get first(): string | undefined {
    return this.#page[this.#at];
  }

  pass(): void {
    this.#at++;
  }

  /** The first of the next page; undefined: there is none. */
  async load(): Promise<string | undefined> {
    if (this.#ended) return undefined;
    const after = this.#page.at(-1) ?? "";
    this.#page = await this.#archive.roomsOf(this.#tenantId, this.#userId, { after, limit: PAGE_ROOMS });
    this.#at = 0;
    this.#ended = this.#page.length < PAGE_ROOMS;
    return this.first;
  }
}
