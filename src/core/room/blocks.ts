// Who has blocked whom, as their inboxes say: asked once, then known until somebody says that it has changed.
//
// Who says so: the inbox's log, where this node owns the inbox; and in a cluster whoever was asked to block, on whatever node, before they answer
// (see `changed`). A node that cannot be told is waited for: nobody takes what they know for true longer than TRUSTED_MS. So from the
// answer to BlockUser on, every node judges by it, and no publish waits for another node as long as its two users are known.

import { create } from "@bufbuild/protobuf";
import { type BlocksChanged, BlocksChangedSchema, NotedSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { PeerReply, Peers } from "../../ports/peers.js";
import type { Placement } from "../../ports/placement.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import { inboxRef } from "./inbox.js";

/** Users remembered, at most; the oldest are forgotten. */
const MAX_KNOWN = 20_000;
/** How long a node of several takes what it knows for true, in milliseconds, from before it was asked for: so long an answer to BlockUser waits for a node that cannot be told. */
const TRUSTED_MS = 5_000;
/** What is used after so long is asked for again meanwhile, in milliseconds: nobody waits for it. */
const RENEWED_MS = 3_000;
/** A node that has just come may not be known to others, who do not tell it: so long it remembers nothing, in milliseconds. Nodes know of each other within a second. */
const UNKNOWN_MS = 2_000;

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
/** Told that whom `blocker` has blocked may have changed: `blockedBy` says what it is now. Must not throw. */
export type DoubtListener = (tenantId: string, blocker: string) => void;

interface Dependencies extends Pick<CoreDependencies, "clock" | "ids"> {
  readonly cluster?:
    | { readonly placement: Pick<Placement, "nodeId" | "nodes">; readonly peers: Pick<Peers, "ask"> }
    | undefined;
}

interface Known {
  readonly blocked: ReadonlySet<string>;
  readonly inboxKey: string;
  /** Monotonic; before it was asked for. */
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
  readonly #deps: Dependencies;
  readonly #view: View;
  /** By tenant and user. */
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Asking>();
  /** Users that are known or asked about, by their inbox. */
  readonly #inboxes = new Map<string, string>();
  readonly #listeners: BlockListener[] = [];
  readonly #doubtListeners: DoubtListener[] = [];
  /** When it was first asked, monotonic. Undefined: it was not. */
  #sinceMs: number | undefined;

  constructor(deps: Dependencies, view: View) {
    this.#deps = deps;
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

  /** Calls the listener with what changes in inboxes of this node, from now on. */
  onChanged(listener: BlockListener): void {
    this.#listeners.push(listener);
  }

  /** Calls the listener when another node says that something has changed, from now on. */
  onDoubt(listener: DoubtListener): void {
    this.#doubtListeners.push(listener);
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

  /** Whom the user has blocked has changed, or may have: what was known of it is not used from now on. */
  doubt(tenantId: string, userId: string): void {
    this.#forget(userKey(tenantId, userId));
    for (const listener of this.#doubtListeners) listener(tenantId, userId);
  }

  /** Another node says so. */
  answer({ tenantId, userId }: BlocksChanged): PeerReply {
    this.doubt(tenantId, userId);
    return { case: "noted", value: create(NotedSchema) };
  }

  /**
   * Before anybody is told that a user has blocked another, or no longer does, and after it is durable: resolves once no node judges by what was
   * before. Never rejects; takes TRUSTED_MS where a node cannot be told.
   */
  async changed(tenantId: string, userId: string): Promise<void> {
    const { cluster, clock } = this.#deps;
    if (cluster === undefined) return;
    const { placement, peers } = cluster;
    const forgotten = Promise.withResolvers<void>();
    const timer = clock.after(TRUSTED_MS, () => forgotten.resolve());
    const others = placement.nodes().filter(({ nodeId }) => nodeId !== placement.nodeId);
    this.doubt(tenantId, userId);
    const question = { case: "blocksChanged" as const, value: create(BlocksChangedSchema, { tenantId, userId }) };
    const told = others.map((node) => peers.ask(node, question).then(ignore, () => forgotten.promise));
    await Promise.all(told);
    timer.cancel();
  }

  /** Nobody may have been told what to tell this node for a while: it begins anew. */
  relearn(): void {
    for (const user of [...this.#known.keys(), ...this.#asking.keys()]) this.#forget(user);
    this.#sinceMs = undefined;
  }

  /** Whether what was learnt then, monotonic, may be something that nobody has said to have changed since. */
  isOld(learntAtMs: number): boolean {
    const { cluster, clock } = this.#deps;
    return cluster !== undefined && clock.monotonic() - learntAtMs > TRUSTED_MS;
  }

  /** Whom a user has blocked, as of the call or later. Not to be changed; does not change. */
  blockedBy(tenantId: string, userId: string): Awaitable<ReadonlySet<string>> {
    const user = userKey(tenantId, userId);
    const known = this.#known.get(user);
    if (known === undefined) return this.#ask(user, tenantId, userId);
    const { cluster, clock } = this.#deps;
    if (cluster === undefined) return known.blocked;
    const ageMs = clock.monotonic() - known.askedAtMs;
    if (ageMs >= TRUSTED_MS) return this.#ask(user, tenantId, userId);
    // Nobody waits for it: a failure shows where it is asked for and waited for.
    if (ageMs > RENEWED_MS) this.#ask(user, tenantId, userId).catch(ignore);
    return known.blocked;
  }

  /** Asks the inbox's owner, together with whoever asks meanwhile. */
  #ask(user: string, tenantId: string, userId: string): Promise<ReadonlySet<string>> {
    const under = this.#asking.get(user);
    if (under !== undefined) return under.answer;
    const inbox = inboxRef(this.#deps.ids, tenantId, userId);
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
      const askedAtMs = this.#deps.clock.monotonic();
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
    this.#sinceMs ??= known.askedAtMs;
    if (this.#deps.cluster !== undefined && known.askedAtMs - this.#sinceMs < UNKNOWN_MS) return;
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
