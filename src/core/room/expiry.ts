// Ends messages whose time is over: each end is a command like any other, so that everybody sees it in the room's order. Each node ends those
// of its own shards.

import type { RoomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { systemOf } from "./inbox.js";
import type { OwnedShards } from "./owned-shards.js";
import { Rounds } from "./rounds.js";

/** How late the end may be announced; reads leave out what has expired at once. */
const INTERVAL_MS = 1_000;
/** Messages ended in one go: the next go follows when these are durable. */
const BATCH = 500;

export class Expiry {
  readonly #deps: CoreDependencies;
  readonly #submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<unknown>;
  readonly #owned: OwnedShards;
  readonly #rounds: Rounds;

  constructor(
    deps: CoreDependencies,
    submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<unknown>,
    owned: OwnedShards,
  ) {
    this.#deps = deps;
    this.#submit = submit;
    this.#owned = owned;
    // What fails is found again: it stays in the archive's index until it has ended.
    const round = () => this.#round();
    this.#rounds = new Rounds(deps, { intervalMs: INTERVAL_MS, what: "ending expired messages", round });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): void {
    this.#rounds.stop();
  }

  async #round(): Promise<void> {
    const { archive, clock, log } = this.#deps;
    let shards = this.#owned.all;
    let failure: { readonly cause: unknown } | undefined;
    while (shards.length > 0 && !this.#rounds.stopped) {
      const expired = await archive.expired(shards, clock.now(), BATCH);
      const ends = await Promise.allSettled(expired.map(({ room, messageId }) => this.#end(room, messageId)));
      const failed = new Set<number>();
      for (const [index, end] of ends.entries()) {
        if (end.status !== "rejected") continue;
        failure ??= { cause: end.reason };
        failed.add(shardOf(expired[index]?.room.key ?? "", log.shards));
      }
      if (expired.length < BATCH) break;
      // A shard that is away does not hold up the others.
      shards = shards.filter((shard) => !failed.has(shard) && this.#owned.has(shard));
    }
    if (failure !== undefined) throw failure.cause;
  }

  #end(ref: RoomRef, messageId: string): Promise<unknown> {
    const key = `~expired.${messageId}`;
    return this.#submit(ref, systemOf(ref), { kind: "deleteMessage", key, attempt: 1, messageId, expired: true });
  }
}
