// The live sessions of this node: by user and by device.

import type { Revocation } from "../../ports/token-verifier.js";
import type { Limits } from "../limit/limits.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { LiveSession } from "./live-session.js";

/** What all sessions of one user share. */
export interface UserSessions {
  readonly sessions: Set<LiveSession>;
  readonly rate: TokenBucket;
}

export type Registration =
  /** `evicted` must be closed: what the newcomer replaces, and the oldest beyond the limit. */
  | {
      readonly ok: true;
      readonly user: UserSessions;
      readonly replaced: LiveSession | undefined;
      readonly oldest: readonly LiveSession[];
    }
  /** The device has a session of a higher attempt. */
  | { readonly ok: false; readonly currentAttempt: number };

export class Registry {
  readonly #limits: Limits;
  readonly #users = new Map<string, UserSessions>();
  #size = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  *all(): Iterable<LiveSession> {
    for (const { sessions } of this.#users.values()) yield* sessions;
  }

  /** The higher attempt of a device wins; among equals the later connection. */
  add(session: LiveSession, monotonicMs: number): Registration {
    const key = userKey(session.identity.tenantId, session.identity.userId);
    const user = this.#users.get(key) ?? {
      sessions: new Set(),
      rate: new TokenBucket(this.#limits.userRate, monotonicMs),
    };
    let replaced: LiveSession | undefined;
    for (const other of user.sessions) {
      if (other.deviceId !== session.deviceId) continue;
      if (other.attempt > session.attempt) return { ok: false, currentAttempt: other.attempt };
      replaced = other;
    }
    const excess = user.sessions.size + 1 - Number(replaced !== undefined) - this.#limits.maxSessionsPerUser;
    const oldest: LiveSession[] = [];
    // Sets iterate in order of insertion.
    for (const other of user.sessions) {
      if (oldest.length >= excess) break;
      if (other !== replaced) oldest.push(other);
    }
    user.sessions.add(session);
    this.#users.set(key, user);
    this.#size++;
    return { ok: true, user, replaced, oldest };
  }

  remove(session: LiveSession): void {
    const key = userKey(session.identity.tenantId, session.identity.userId);
    const user = this.#users.get(key);
    if (user?.sessions.delete(session) !== true) return;
    this.#size--;
    if (user.sessions.size === 0) this.#users.delete(key);
  }

  /** The live sessions that a revocation covers. */
  revoked({ tenantId, subject, atMs }: Revocation): readonly LiveSession[] {
    if ("userId" in subject) {
      const sessions = this.#users.get(userKey(tenantId, subject.userId))?.sessions ?? [];
      return [...sessions].filter((session) => session.verifiedAtMs <= atMs);
    }
    const covered: LiveSession[] = [];
    // Tokens without an id can be revoked by user only.
    if (subject.tokenId === "") return covered;
    for (const session of this.all()) {
      if (session.identity.tenantId === tenantId && session.identity.tokenId === subject.tokenId) covered.push(session);
    }
    return covered;
  }
}

function userKey(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}
