// Who has blocked whom, as their inboxes say: asked once, then known until the inbox says something new.

import type { NewRecord } from "../../ports/event-log.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { Ids } from "../core.js";
import { inboxRef } from "./inbox.js";
import type { Room } from "./room.js";

/** Users remembered, at most; the oldest are forgotten. */
const MAX_KNOWN = 20_000;

/** Reads an inbox at its owner. */
type View = (
  ref: RoomRef,
  users: readonly string[],
  read: (room: Room) => ReadonlySet<string>,
) => Promise<ReadonlySet<string>>;

/** Told that `blocker` has blocked `other`, or no longer does, as soon as that is durable. Must not throw. */
export type BlockListener = (tenantId: string, blocker: string, other: string, blocked: boolean) => void;

const NOBODY: ReadonlySet<string> = new Set();

export class Blocks {
  readonly #ids: Ids;
  readonly #view: View;
  /** By tenant and user. */
  readonly #known = new Map<string, ReadonlySet<string>>();
  readonly #inboxes = new Map<string, string>();
  readonly #listeners: BlockListener[] = [];
  /** Counts what has changed, so that nothing older is remembered. */
  #changes = 0;

  constructor(ids: Ids, view: View) {
    this.#ids = ids;
    this.#view = view;
  }

  /** Whether one of the two has blocked the other. */
  between(tenantId: string, one: string, other: string): Awaitable<boolean> {
    const first = this.blockedBy(tenantId, one);
    const second = this.blockedBy(tenantId, other);
    if (!isPromise(first) && !isPromise(second)) return first.has(other) || second.has(one);
    return Promise.all([first, second]).then(([ofOne, ofOther]) => ofOne.has(other) || ofOther.has(one));
  }

  /** Whether `blocker` has blocked `other`. */
  async has(tenantId: string, blocker: string, other: string): Promise<boolean> {
    return (await this.blockedBy(tenantId, blocker)).has(other);
  }

  /** Calls the listener with what changes, from now on. */
  onChanged(listener: BlockListener): void {
    this.#listeners.push(listener);
  }

  /** Events have become durable. */
  appended(records: readonly NewRecord[]): void {
    for (const { room, event } of records) {
      const { kind, actor } = event.event;
      if (kind.case !== "userBlocked") continue;
      this.#changes++;
      const user = this.#inboxes.get(room.key);
      if (user !== undefined) this.#known.delete(user);
      this.#inboxes.delete(room.key);
      // Nobody but the inbox's user writes such an event.
      const { userId: blocker = "" } = actor ?? {};
      for (const listener of this.#listeners) listener(room.tenantId, blocker, kind.value.userId, kind.value.blocked);
    }
  }

  /** Whom a user has blocked, as of the call or later. Not to be changed; does not change. */
  blockedBy(tenantId: string, userId: string): Awaitable<ReadonlySet<string>> {
    const user = `${tenantId}/${userId}`;
    const known = this.#known.get(user);
    if (known !== undefined) return known;
    const changes = this.#changes;
    const inbox = inboxRef(this.#ids, tenantId, userId);
    // A copy: the state goes on.
    return this.#view(inbox, [], ({ state }) =>
      state.user.blocked.size === 0 ? NOBODY : new Set(state.user.blocked),
    ).then((blocked) => {
      if (changes === this.#changes) this.#remember(user, inbox.key, blocked);
      return blocked;
    });
  }

  #remember(user: string, inboxKey: string, blocked: ReadonlySet<string>): void {
    this.#known.set(user, blocked);
    this.#inboxes.set(inboxKey, user);
    if (this.#known.size <= MAX_KNOWN) return;
    const oldest = this.#inboxes.entries().next();
    if (oldest.done === true) return;
    const [oldestInbox, oldestUser] = oldest.value;
    this.#inboxes.delete(oldestInbox);
    this.#known.delete(oldestUser);
  }
}
