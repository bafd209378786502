// Who has blocked whom, as their inboxes say: asked once, then known until somebody says that it has changed. The inbox's log says so where this
// node owns the inbox; of others UserNotices hears.

import type { NewRecord } from "../../ports/event-log.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { UserNotices } from "../cluster/user-notices.js";
import type { Ids } from "../core.js";
import { inboxRef } from "./inbox.js";

/** Users remembered, at most; the oldest are forgotten. */
const MAX_KNOWN = 20_000;

/** What matters of an inbox. */
interface Inbox {
  readonly state: { readonly user: { readonly blocked: ReadonlySet<string> } };
}

/** Reads an inbox at its owner. */
type View = (
  ref: RoomRef,
  users: readonly string[],
  read: (inbox: Inbox) => ReadonlySet<string>,
) => Promise<ReadonlySet<string>>;

/** Told that `blocker` has blocked `other`, or no longer does, as soon as that is durable. Must not throw. */
export type BlockListener = (tenantId: string, blocker: string, other: string, blocked: boolean) => void;

interface Known {
  readonly blocked: ReadonlySet<string>;
  readonly inboxKey: string;
  /** As UserNotices says. */
  readonly askedAtMs: number;
}

/** A question under way. */
interface Asking {
  answer: Promise<ReadonlySet<string>>;
  readonly inboxKey: string;
  /** Something has changed since it was asked: the answer may be of before that. */
  outdated: boolean;
}

const NOBODY: ReadonlySet<string> = new Set();

export class Blocks {
  readonly #ids: Ids;
  readonly #notices: UserNotices;
  readonly #view: View;
  /** By tenant and user. */
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Asking>();
  /** Users that are known or asked about, by their inbox. */
  readonly #inboxes = new Map<string, string>();
  readonly #listeners: BlockListener[] = [];

  constructor(ids: Ids, notices: UserNotices, view: View) {
    this.#ids = ids;
    this.#notices = notices;
    this.#view = view;
    notices.onChanged(
      (tenantId, userId) => this.#forget(userKey(tenantId, userId)),
      () => {
        for (const user of [...this.#known.keys(), ...this.#asking.keys()]) this.#forget(user);
      },
    );
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

  /** Calls the listener with what changes in inboxes of this node, from now on. */
  onChanged(listener: BlockListener): void {
    this.#listeners.push(listener);
  }

  /** Events have become durable. */
  appended(records: readonly NewRecord[]): void {
    for (const { room, event } of records) {
      const { kind, actor } = event.event;
      if (kind.case !== "userBlocked") continue;
      const user = this.#inboxes.get(room.key);
      if (user !== undefined) this.#forget(user);
      // Nobody but the inbox's user writes such an event.
      const { userId: blocker = "" } = actor ?? {};
      for (const listener of this.#listeners) listener(room.tenantId, blocker, kind.value.userId, kind.value.blocked);
    }
  }

  /** Whom a user has blocked, as of the call or later. Not to be changed; does not change. */
  blockedBy(tenantId: string, userId: string): Awaitable<ReadonlySet<string>> {
    const user = userKey(tenantId, userId);
    const known = this.#known.get(user);
    if (known === undefined) return this.#ask(user, tenantId, userId);
    const age = this.#notices.age(known.askedAtMs);
    if (age === "old") return this.#ask(user, tenantId, userId);
    // Nobody waits for it: a failure shows where it is asked for and waited for.
    if (age === "renew") this.#ask(user, tenantId, userId).catch(ignore);
    return known.blocked;
  }

  /** Asks the inbox's owner, together with whoever asks meanwhile. */
  #ask(user: string, tenantId: string, userId: string): Promise<ReadonlySet<string>> {
    const under = this.#asking.get(user);
    if (under !== undefined) return under.answer;
    const inbox = inboxRef(this.#ids, tenantId, userId);
    const asking: Asking = { answer: Promise.resolve(NOBODY), inboxKey: inbox.key, outdated: false };
    this.#asking.set(user, asking);
    this.#inboxes.set(inbox.key, user);
    asking.answer = this.#read(user, inbox, asking).finally(() => {
      this.#asking.delete(user);
      if (!this.#known.has(user)) this.#inboxes.delete(inbox.key);
    });
    return asking.answer;
  }

  async #read(user: string, inbox: RoomRef, asking: Asking): Promise<ReadonlySet<string>> {
    for (;;) {
      asking.outdated = false;
      const askedAtMs = this.#notices.now;
      // A copy: the state goes on.
      const blocked = await this.#view(inbox, [], ({ state }) =>
        state.user.blocked.size === 0 ? NOBODY : new Set(state.user.blocked),
      );
      // Whoever asks since the change is to be told of it.
      if (asking.outdated) continue;
      this.#remember(user, { blocked, inboxKey: inbox.key, askedAtMs });
      return blocked;
    }
  }

  #forget(user: string): void {
    const asking = this.#asking.get(user);
    if (asking !== undefined) asking.outdated = true;
    const known = this.#known.get(user);
    if (known === undefined) return;
    this.#known.delete(user);
    if (asking === undefined) this.#inboxes.delete(known.inboxKey);
  }

  #remember(user: string, known: Known): void {
    if (!this.#notices.remembers(known.askedAtMs)) return;
    this.#known.delete(user);
    this.#known.set(user, known);
    if (this.#known.size <= MAX_KNOWN) return;
    const oldest = this.#known.entries().next();
    if (oldest.done === true) return;
    const [oldestUser, { inboxKey }] = oldest.value;
    this.#known.delete(oldestUser);
    if (!this.#asking.has(oldestUser)) this.#inboxes.delete(inboxKey);
  }
}

function userKey(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}

function ignore(): void {}
