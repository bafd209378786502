// What users' sessions were told to close with, kept in the order it was said: a node that was paused or cut off, whose sessions others no longer
// saw, does it when it is back.
//
// A stream of Redis: an entry's id is later than any before it, of a Redis that was emptied too.

import type { CloseCode } from "../../../gen/trunkline/v1/error_pb.js";
import type { SessionSelector } from "../../../ports/session-directory.js";
import type { RedisCommands } from "../redis.js";

/** Closes that are kept. A node that has missed more does not know which. */
const KEPT = 10_000;
const FIELD = "close";
/** Before every other. */
const START: Place = "0-0";

/** A place in the order. */
export type Place = `${string}-${string}`;

export interface KeptClose {
  readonly at: Place;
  readonly tenantId: string;
  readonly which: SessionSelector;
  readonly code: CloseCode;
  readonly reason: string;
}

export interface NewCloses {
  readonly closes: readonly KeptClose[];
  /** There were more, which are not kept. */
  readonly lost: boolean;
}

export class KeptCloses {
  readonly #redis: RedisCommands;
  readonly #key: string;

  constructor(redis: RedisCommands, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async add(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Promise<void> {
    const said = JSON.stringify({ tenantId, which, code, reason });
    await this.#redis.xadd(this.#key, "MAXLEN", "=", KEPT, "*", FIELD, said);
  }

  /** The last one there is. */
  async last(): Promise<Place> {
    const [entry] = await this.#redis.xrevrange(this.#key, "+", "-", "COUNT", 1);
    return entry === undefined ? START : placeOf(entry[0]);
  }

  /** Those after a place, in order. */
  async after(place: Place): Promise<NewCloses> {
    const found = await this.#redis.xrange(this.#key, `(${place}`, "+", "COUNT", KEPT);
    const closes = found.map(([id, [, said = ""]]): KeptClose => ({ ...JSON.parse(said), at: placeOf(id) }));
    return { closes, lost: found.length >= KEPT };
  }
}

export function isAfter(one: Place, other: Place): boolean {
  const [oneMs = 0, oneNumber = 0] = one.split("-").map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split("-").map(Number);
  return oneMs === otherMs ? oneNumber > otherNumber : oneMs > otherMs;
}

function placeOf(id: string): Place {
  const [ms = "0", number = "0"] = id.split("-");
  return `${ms}-${number}`;
}
