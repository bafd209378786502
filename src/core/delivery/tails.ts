// All tails of this node. A tail reads the logs of all shards, whoever owns them: of those of this node it hears at once, of others within a
// second or two.

import type { TailRequest, TailResponse } from "../../gen/trunkline/v1/delivery_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { Revocation } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import type { LogReader } from "../follow/shard-reader.js";
import type { Caller } from "../room/calls.js";
import type { RoomOwner } from "../room/owner.js";
import { shardOf } from "../room/position.js";
import { validateId } from "../validate.js";
import { readCursor, refusedCursor } from "./cursor.js";
import { Growth } from "./growth.js";
import { SharedReads } from "./shared-reads.js";
import { Tail, type TailScope } from "./tail.js";

/** Rooms that one tail may name. */
const MAX_ROOMS = 1_000;
/** Tails of one tenant at once: each reads the whole log. */
const MAX_TAILS = 64;
/** The farthest a timer may be set, in milliseconds. */
const MAX_TIMER_MS = 24 * 3_600_000;

interface Expiry {
  cancel(): void;
}

export class Tails implements LogReader {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  /** With what ends each with its token. */
  readonly #open = new Map<Tail, Expiry>();
  readonly #listeners: ((shard: number) => void)[] = [];
  readonly #reads: SharedReads;
  /** Undefined: nobody else appends. */
  readonly #growth: Growth | undefined;
  #endRevocations: (() => void) | undefined;
  #leaving = false;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#reads = new SharedReads(deps.log);
    const grown = (shard: number): void => {
      for (const tail of this.#open.keys()) tail.appended(shard);
    };
    owner.onAppended(grown);
    const settled = (shard: number, end: number): void => {
      for (const tail of this.#open.keys()) tail.settled(shard, end);
    };
    this.#growth = deps.cluster && new Growth(deps, { grown, settled, wanted: () => this.#open.size > 0 });
  }

  /** How far the slowest of those that are open has come. */
  reached(shard: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const tail of this.#open.keys()) least = Math.min(least, tail.reached(shard));
    return least;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#endRevocations = this.#deps.verifier.onRevoked((revocation) => this.#revoked(revocation));
    this.#growth?.start();
  }

  /** Ends all of them: their readers go on from their cursors elsewhere. Idempotent. */
  stop(): void {
    this.#leaving = true;
    this.#growth?.stop();
    this.#endRevocations?.();
    for (const [tail, expiry] of this.#open) {
      tail.end(leaving());
      expiry.cancel();
    }
  }

  async *read(
    caller: Caller,
    request: TailRequest,
    signal: AbortSignal,
  ): AsyncGenerator<TailResponse, void, undefined> {
    const scope = this.#scope(caller, request);
    const from = request.cursor === "" ? await this.#now() : await this.#goOn(request.cursor, scope);
    const tail = this.#begin(scope, from);
    // A reader that vanishes while it is behind never comes back for more: what it holds is let go of here.
    const abandon = () => {
      tail.end(undefined);
      this.#open.get(tail)?.cancel();
      if (!this.#open.delete(tail)) return;
      for (const shard of from.keys()) this.#tellReached(shard);
    };
    signal.addEventListener("abort", abandon, { once: true });
    if (signal.aborted) abandon();
    try {
      yield* tail.responses();
    } finally {
      signal.removeEventListener("abort", abandon);
      abandon();
    }
  }

  /** Behind everything that is durable. */
  async #now(): Promise<readonly number[]> {
    return this.#growth === undefined ? this.#owner.ends : await this.#deps.log.ends();
  }

  /** Where a cursor goes on. Rejects where nobody could say what was missed. */
  async #goOn(text: string, { shards }: TailScope): Promise<readonly number[]> {
    const { era, offsets } = readCursor(text);
    const { log } = this.#deps;
    if (!(await log.continues(era, offsets))) throw refusedCursor("OTHER_HISTORY");
    const begins = await log.begins();
    const isGone = (offset: number, shard: number) => offset < (begins[shard] ?? 0) && shards?.has(shard) !== false;
    if (offsets.some(isGone)) throw refusedCursor("EXPIRED");
    return offsets;
  }

  #scope({ identity }: Caller, { roomIds }: TailRequest): TailScope {
    if (roomIds.length > MAX_ROOMS) throw TrunklineError.tooLarge("room_ids", MAX_ROOMS, "rooms");
    for (const [index, roomId] of roomIds.entries()) validateId(`room_ids[${index}]`, roomId);
    const all = roomIds.length === 0;
    const { clock, log } = this.#deps;
    return {
      identity,
      verifiedAtMs: clock.now(),
      roomIds: all ? undefined : new Set(roomIds),
      shards: all
        ? undefined
        : new Set(roomIds.map((roomId) => shardOf(roomRef(identity.tenantId, roomId).key, log.shards))),
    };
  }

  #begin(scope: TailScope, offsets: readonly number[]): Tail {
    if (this.#leaving) throw leaving();
    const { tenantId } = scope.identity;
    let others = 0;
    for (const { scope } of this.#open.keys()) if (scope.identity.tenantId === tenantId) others++;
    if (others >= MAX_TAILS) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many tails at once", {
        details: { limit: String(MAX_TAILS) },
      });
    }
    const parts = { log: this.#reads, clock: this.#deps.clock, reached: (shard: number) => this.#tellReached(shard) };
    const tail = new Tail(parts, scope, offsets);
    this.#open.set(tail, this.#expire(tail));
    if (this.#growth !== undefined) this.#growth.begun();
    // Where nobody else appends, what is durable is shown at once.
    else for (const [shard, end] of this.#owner.ends.entries()) tail.settled(shard, end);
    return tail;
  }

  #tellReached(shard: number): void {
    for (const listener of this.#listeners) listener(shard);
  }

  /** Ends the tail with its token. */
  #expire(tail: Tail): Expiry {
    const { clock } = this.#deps;
    const { expiresAtMs } = tail.scope.identity;
    if (expiresAtMs === undefined) return { cancel: () => {} };
    const wait = () =>
      clock.after(Math.max(Math.min(expiresAtMs - clock.now(), MAX_TIMER_MS), 0), () => {
        if (clock.now() >= expiresAtMs) tail.end(new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired"));
        else timer = wait();
      });
    let timer = wait();
    return { cancel: () => timer.cancel() };
  }

  #revoked({ tenantId, subject, atMs }: Revocation): void {
    for (const tail of this.#open.keys()) {
      const { identity, verifiedAtMs } = tail.scope;
      if (identity.tenantId !== tenantId) continue;
      const concerned =
        "tokenId" in subject
          ? identity.tokenId !== "" && subject.tokenId === identity.tokenId
          : subject.userId === identity.userId && verifiedAtMs < atMs;
      if (concerned) tail.end(new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token was revoked"));
    }
  }
}

function leaving(): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving", { retryAfterMs: 1_000 });
}
