// What nodes remember of a user — whom they have blocked, whether their reading is hidden — and how it stays true on all of them.
//
// Whoever changes it, on whatever node, tells every other node before anybody is told that it is done; a node that is told forgets, and asks
// again. One that cannot be told is waited for: no node takes what it remembers for true longer than TRUSTED_MS. So from the answer to the
// change on every node judges by it, though none asks another each time.

import { create } from "@bufbuild/protobuf";
import { NotedSchema, type UserChanged, UserChangedSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { PeerReply, Peers } from "../../ports/peers.js";
import type { Placement } from "../../ports/placement.js";
import type { CoreDependencies } from "../core.js";

/** How long a node of several takes what it remembers for true, in milliseconds, from before it was asked for: so long a change waits for a node that cannot be told. */
const TRUSTED_MS = 5_000;
/** What is used after so long is asked for again meanwhile, in milliseconds: nobody waits for it. */
const RENEWED_MS = 3_000;
/** A node that has just come may not be known to others, who do not tell it: so long it remembers nothing, in milliseconds. Nodes know of each other within a second. */
const UNKNOWN_MS = 2_000;

export interface NoticeDependencies extends Pick<CoreDependencies, "clock"> {
  readonly cluster?:
    | { readonly placement: Pick<Placement, "nodeId" | "nodes">; readonly peers: Pick<Peers, "ask"> }
    | undefined;
}

/** What is remembered is as good as new; or is to be asked for again, by and by or at once. */
export type Age = "good" | "renew" | "old";

/** Must not throw. */
export type ChangeListener = (tenantId: string, userId: string) => void;

export class UserNotices {
  readonly #deps: NoticeDependencies;
  readonly #listeners: ChangeListener[] = [];
  readonly #relearnListeners: (() => void)[] = [];
  /** Since when others know of this node, monotonic. Undefined: nothing was to be remembered yet. */
  #sinceMs: number | undefined;

  constructor(deps: NoticeDependencies) {
    this.#deps = deps;
  }

  /** Calls `changed` for a user of whom something may have changed, and `relearn` where that may be so of everybody: both forget. */
  onChanged(changed: ChangeListener, relearn: () => void): void {
    this.#listeners.push(changed);
    this.#relearnListeners.push(relearn);
  }

  /** Another node says so. */
  answer({ tenantId, userId }: UserChanged): PeerReply {
    this.#tell(tenantId, userId);
    return { case: "noted", value: create(NotedSchema) };
  }

  /** Nobody may have told this node anything for a while: it begins anew. */
  relearn(): void {
    this.#sinceMs = undefined;
    for (const listener of this.#relearnListeners) listener();
  }

  /**
   * After a change that is stored, and before anybody is told of it: resolves once no node judges by what was before. Never rejects; takes
   * TRUSTED_MS where a node cannot be told. At once where this node is alone: it is for the caller to forget then.
   */
  async changed(tenantId: string, userId: string): Promise<void> {
    const { cluster, clock } = this.#deps;
    if (cluster === undefined) return;
    const { placement, peers } = cluster;
    const forgotten = Promise.withResolvers<void>();
    const timer = clock.after(TRUSTED_MS, () => forgotten.resolve());
    const others = placement.nodes().filter(({ nodeId }) => nodeId !== placement.nodeId);
    this.#tell(tenantId, userId);
    const question = { case: "userChanged" as const, value: create(UserChangedSchema, { tenantId, userId }) };
    await Promise.all(others.map((node) => peers.ask(node, question).then(ignore, () => forgotten.promise)));
    timer.cancel();
  }

  /** Whether no other node changes what this one remembers: it hears of everything. */
  get alone(): boolean {
    return this.#deps.cluster === undefined;
  }

  /** When something is asked for that is to be remembered: what `age` and `remembers` are asked with. */
  get now(): number {
    return this.#deps.cluster === undefined ? 0 : this.#deps.clock.monotonic();
  }

  /** How good what was asked for then is now. */
  age(askedAtMs: number): Age {
    if (this.#deps.cluster === undefined) return "good";
    const ageMs = this.#deps.clock.monotonic() - askedAtMs;
    if (ageMs >= TRUSTED_MS) return "old";
    return ageMs > RENEWED_MS ? "renew" : "good";
  }

  /** Whether what was asked for then may be remembered. */
  remembers(askedAtMs: number): boolean {
    if (this.#deps.cluster === undefined) return true;
    this.#sinceMs ??= askedAtMs;
    return askedAtMs - this.#sinceMs >= UNKNOWN_MS;
  }

  #tell(tenantId: string, userId: string): void {
    for (const listener of this.#listeners) listener(tenantId, userId);
  }
}

function ignore(): void {}
