// Where the owner of a shard is, and how long somebody waits for there to be one.

import { create, toBinary } from "@bufbuild/protobuf";
import { PeerRequestSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type PeerQuestion, type PeerReply, Unanswered } from "../../ports/peers.js";
import type { ClusterNode } from "../../ports/placement.js";
import type { ClusterParts, CoreDependencies } from "../core.js";
import { isNotTheOwner } from "../room/unavailable.js";

/** How long something is held until an owner is known that takes it, in milliseconds: longer than a shard takes to be handed over. */
export const HOLD_MS = 2_000;
/** When an owner that did not take something is asked again, in milliseconds, if nothing is heard of another before. */
export const AGAIN_MS = 200;
/** What is held at once, at most. */
const MAX_HELD = 10_000;
/** What is held at once, at most, as bytes on their way to an owner. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** When to come back where there is no owner, in milliseconds. */
const RETRY_AFTER_MS = 500;

/** Whose a shard is: this node's, another's, or nobody's as far as is known. */
export type Owner = "here" | ClusterNode | undefined;

/** Whether this node has opened the shard, and is not about to hand it over. */
export type IsHere = (shard: number) => boolean;

export class Finding {
  readonly #cluster: ClusterParts;
  readonly #clock: CoreDependencies["clock"];
  readonly #isHere: IsHere;
  readonly #waiting = new Set<() => void>();
  readonly #listeners: (() => void)[] = [];
  #held = 0;
  #heldBytes = 0;
  #stopped = false;

  constructor(cluster: ClusterParts, clock: CoreDependencies["clock"], isHere: IsHere) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#isHere = isHere;
    cluster.placement.onChanged(() => this.changed());
  }

  ownerOf(shard: number): Owner {
    const { placement } = this.#cluster;
    if (this.#isHere(shard) && placement.holds(shard)) return "here";
    const owner = placement.ownerOf(shard);
    // This node's own shard, given up a moment ago.
    return owner?.nodeId === placement.nodeId ? undefined : owner;
  }

  /** Calls the listener when shards may have other owners. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Shards may have other owners, or this node has opened one. */
  changed(): void {
    for (const wake of [...this.#waiting]) wake();
    for (const listener of this.#listeners) listener();
  }

  /** Takes a place for something that is held, as large as what will be asked, until the result is called, once. Throws UNAVAILABLE where there is none. */
  hold(question: PeerQuestion): () => void {
    if (this.#stopped || this.#held >= MAX_HELD) throw noOwner();
    const bytes = toBinary(PeerRequestSchema, create(PeerRequestSchema, { request: question })).length;
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) throw noOwner();
    this.#held++;
    this.#heldBytes += bytes;
    return () => {
      this.#held--;
      this.#heldBytes -= bytes;
    };
  }

  /** Asks the shard's owner, this node by `here`, and again where it was not the owner or did not answer, for HOLD_MS: no question that changes anything. */
  async ask(shard: number, question: PeerQuestion, here: () => Promise<PeerReply>): Promise<PeerReply> {
    const dueMs = this.#clock.monotonic() + HOLD_MS;
    for (;;) {
      const owner = this.ownerOf(shard);
      if (owner !== undefined) {
        try {
          return await (owner === "here" ? here() : this.#cluster.peers.ask(owner, question));
        } catch (error) {
          if (!isAskedAgain(error)) throw error;
        }
      }
      const leftMs = dueMs - this.#clock.monotonic();
      if (leftMs <= 0 || this.#stopped) throw noOwner();
      await this.#change(question, Math.min(leftMs, AGAIN_MS));
    }
  }

  /** What waits is refused when it is looked at; nothing waits any more. */
  stop(): void {
    this.#stopped = true;
    this.changed();
  }

  /** Resolves when shards may have other owners, and after a while. */
  #change(question: PeerQuestion, afterMs: number): Promise<void> {
    const release = this.hold(question);
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const wake = (): void => {
        timer?.cancel();
        if (this.#waiting.delete(wake)) release();
        resolve();
      };
      this.#waiting.add(wake);
      timer = this.#clock.after(afterMs, wake);
    });
  }
}

/** Whether somebody else may answer what this was the answer to. */
export function isAskedAgain(error: unknown): boolean {
  return isNotTheOwner(error) || error instanceof Unanswered;
}

export function noOwner(): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the room has no owner at the moment", {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
