// The live sessions of this node: by user and by device.

import type { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { Identity, Revocation } from "../../ports/token-verifier.js";
import type { Limits } from "../limit/limits.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { ChannelReader, UserChannel } from "./user-channel.js";
import type { Timed, TimerWheel } from "./wheel.js";

/** A live session as the registry sees it. */
export interface RegisteredSession extends ChannelReader {
  readonly identity: Identity;
  readonly deviceId: string;
  readonly attempt: number;
  /** When the token was last verified, wall clock. */
  readonly verifiedAtMs: number;
  close(code: CloseCode, reason: string, reconnectAfterMs?: number): void;
}

/** What all sessions of one user share. */
export class UserSessions implements Timed {
  readonly sessions = new Set<RegisteredSession>();
  readonly rate: TokenBucket;
  /** There while there are sessions. */
  channel: UserChannel | undefined;
  slot = -1;
  readonly #forget: () => void;

  constructor(rate: TokenBucket, forget: () => void) {
    this.rate = rate;
    this.#forget = forget;
  }

  /** Without a session: forgotten once that gives the user no messages that the rate would not. */
  tick(monotonicMs: number): number {
    if (this.sessions.size > 0) return 0;
    const fullInMs = this.rate.fullInMs(monotonicMs);
    if (fullInMs === 0) this.#forget();
    return fullInMs;
  }
}

export type Registration =
  /** `evicted` must be closed: what the newcomer replaces, and the oldest beyond the limit. */
  | {
      readonly ok: true;
      readonly user: UserSessions;
      readonly replaced: RegisteredSession | undefined;
      readonly oldest: readonly RegisteredSession[];
    }
  /** The device has a session of a higher attempt. */
  | { readonly ok: false; readonly currentAttempt: number };

export class Registry {
  readonly #limits: Limits;
  readonly #wheel: TimerWheel;
  readonly #openChannel: (identity: Identity, readers: Iterable<ChannelReader>) => UserChannel;
  readonly #users = new Map<string, UserSessions>();
  #size = 0;

  constructor(
    limits: Limits,
    wheel: TimerWheel,
    openChannel: (identity: Identity, readers: Iterable<ChannelReader>) => UserChannel,
  ) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#openChannel = openChannel;
  }

  get size(): number {
    return this.#size;
  }

  *all(): Iterable<RegisteredSession> {
    for (const { sessions } of this.#users.values()) yield* sessions;
  }

  /** The higher attempt of a device wins; among equals the later connection. */
  add(session: RegisteredSession, monotonicMs: number): Registration {
    const key = userKey(session.identity.tenantId, session.identity.userId);
    const rate = (): TokenBucket => new TokenBucket(this.#limits.userRate, monotonicMs);
    const user = this.#users.get(key) ?? new UserSessions(rate(), () => this.#users.delete(key));
    let replaced: RegisteredSession | undefined;
    for (const other of user.sessions) {
      if (other.deviceId !== session.deviceId) continue;
      if (other.attempt > session.attempt) return { ok: false, currentAttempt: other.attempt };
      replaced = other;
    }
    const excess = user.sessions.size + 1 - Number(replaced !== undefined) - this.#limits.maxSessionsPerUser;
    const oldest: RegisteredSession[] = [];
    // Sets iterate in order of insertion.
    for (const other of user.sessions) {
      if (oldest.length >= excess) break;
      if (other !== replaced) oldest.push(other);
    }
    user.sessions.add(session);
    user.channel ??= this.#openChannel(session.identity, user.sessions);
    this.#users.set(key, user);
    this.#size++;
    return { ok: true, user, replaced, oldest };
  }

  remove(session: RegisteredSession): void {
    const key = userKey(session.identity.tenantId, session.identity.userId);
    const user = this.#users.get(key);
    if (user?.sessions.delete(session) !== true) return;
    this.#size--;
    // Not forgotten at once, or whoever comes back would begin with a full burst each time.
    if (user.sessions.size > 0) return;
    this.#wheel.schedule(user, 0);
    user.channel?.close();
    user.channel = undefined;
  }

  /** The live sessions that a revocation covers. */
  revoked({ tenantId, subject, atMs }: Revocation): readonly RegisteredSession[] {
    if ("userId" in subject) {
      const sessions = this.#users.get(userKey(tenantId, subject.userId))?.sessions ?? [];
      return [...sessions].filter((session) => session.verifiedAtMs <= atMs);
    }
    const covered: RegisteredSession[] = [];
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
