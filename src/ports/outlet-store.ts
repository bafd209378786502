// What is kept of outlets: what could not be handed over yet, what was given up, and what users who are away were told.
//
// Reads see all that was durable before the call. Writes are durable when they resolve, take effect in the order of the calls, and are
// idempotent. Both reject with UNAVAILABLE when the store is away; where an answer is no promise, the refusal is thrown.

import type { BurstDocument, DeadLetterDocument, ParkedDocument } from "../gen/trunkline/store/v1/documents_pb.js";
import type { Page } from "./archive.js";
import type { Awaitable, RoomRef } from "./room-ref.js";

/** Dead letters kept of one outlet; with more, the oldest go. */
export const DEAD_LETTERS = 10_000;

export interface OutletStore {
  /** What the outlet has parked of rooms in these shards, in no order. */
  parked(outlet: string, shards: readonly number[]): Awaitable<readonly ParkedDocument[]>;

  /**
   * Takes what the outlet has parked of a shard's rooms up into a term, each in one step, and answers what is of that term then, in no order.
   * What was parked before the term began, and is parked still, is among it. What is parked in an earlier term meanwhile may be left out.
   * Rejects with TermOver where something is of a later term.
   */
  takeUp(outlet: string, shard: number, term: number): Promise<readonly ParkedDocument[]>;

  /**
   * Keeps it in this term, in place of what the outlet has parked for the same tenant, room and user. Rejects with TermOver, and keeps
   * nothing, where that is of a later term.
   */
  park(outlet: string, document: ParkedDocument, term: number): Promise<void>;

  /**
   * Forgets what the outlet has parked for this tenant, room and user, unless that is of a later term, or was parked after this was called:
   * what was refused, and reaches the store late, takes away nothing that has come in its place.
   */
  unpark(outlet: string, document: ParkedDocument, term: number): Promise<void>;

  /** Keeps a dead letter, by its id. Of more than DEAD_LETTERS of the outlet, those with the least ids go. */
  bury(outlet: string, letter: DeadLetterDocument): Promise<void>;

  /** The outlet's dead letters, by id. */
  deadLetters(outlet: string, page: Page): Awaitable<readonly DeadLetterDocument[]>;

  /** One of them; undefined: it is not there. */
  deadLetter(outlet: string, letterId: string): Awaitable<DeadLetterDocument | undefined>;

  /** Forgets a dead letter, and that it was to be tried again. */
  forget(outlet: string, letterId: string): Promise<void>;

  /** Asks that a dead letter be tried once more. */
  retry(outlet: string, letterId: string): Promise<void>;

  /** Ids of dead letters of rooms in these shards that are to be tried once more, and of some that are gone, at most `limit`. */
  retries(outlet: string, shards: readonly number[], limit: number): Awaitable<readonly string[]>;

  /** It was tried. */
  retried(outlet: string, letterId: string): Promise<void>;

  /** What a user was told of a room while they were away, last. */
  burst(room: RoomRef, userId: string): Awaitable<BurstDocument | undefined>;

  putBurst(room: RoomRef, userId: string, document: BurstDocument): Promise<void>;

  /** Forgets what anybody was told of a room: of one that was deleted. */
  forgetBursts(room: RoomRef): Promise<void>;
}
