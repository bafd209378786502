// What the application has said of who may do what, as long as it holds.

import type { Permission, Role } from "../../gen/trunkline/v1/message_pb.js";

/** Answers kept, at most; those that were not used for longest make room. */
const MAX_KEPT = 100_000;

export interface KnownAnswer {
  readonly allowed: boolean;
  readonly role: Role;
  /** Monotonic, exclusive. */
  readonly untilMs: number;
  /** How long it held when it was given. */
  readonly ttlMs: number;
}

export class Answers {
  // A Map keeps insertion order; re-inserting on use makes its first entry the least recently used.
  readonly #kept = new Map<string, KnownAnswer>();

  get(key: string, nowMs: number): KnownAnswer | undefined {
    const answer = this.#kept.get(key);
    if (answer === undefined) return undefined;
    this.#kept.delete(key);
    if (answer.untilMs <= nowMs) return undefined;
    this.#kept.set(key, answer);
    return answer;
  }

  set(key: string, answer: KnownAnswer): void {
    this.#kept.delete(key);
    if (answer.ttlMs === 0) return;
    this.#kept.set(key, answer);
    if (this.#kept.size <= MAX_KEPT) return;
    const oldest = this.#kept.keys().next();
    if (oldest.done !== true) this.#kept.delete(oldest.value);
  }
}

export function answerKey(roomKey: string, userId: string, permission: Permission): string {
  return `${roomKey}/${userId}/${permission}`;
}
