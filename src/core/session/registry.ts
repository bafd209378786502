// The live sessions of this node: by user and by device.

import type { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { EntryDevice } from "../../ports/session-directory.js";
import type { Identity, Revocation } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import { quotaRefusal } from "../limit/quota.js";
import { admit } from "./admission.js";
import type { ChannelReader, ChannelReaders, UserChannel } from "./user-channel.js";

/** A live session as the registry sees it. */
interface RegisteredSession extends ChannelReader {
  readonly identity: Identity;
  readonly deviceId: string;
  readonly device: EntryDevice;
  readonly attempt: number;
  /** When the token was last verified, wall clock. */
  readonly verifiedAtMs: number;
  close(code: CloseCode, reason: string, reconnectAfterMs?: number): void;
}

/** What all sessions of one user share. */
export interface UserSessions {
  /** Oldest first. Replaced, never changed. */
  readonly sessions: readonly RegisteredSession[];
  readonly channel: UserChannel;
}

/** A session that is registered, and those that must be closed for it: what it replaces, and the oldest beyond the limits. */
export interface Registration {
  readonly user: UserSessions;
  readonly replaced: RegisteredSession | undefined;
  readonly oldest: readonly RegisteredSession[];
}

class User implements UserSessions {
  sessions: readonly RegisteredSession[] = [];
  readonly channel: UserChannel;

  constructor(openChannel: (user: ChannelReaders) => UserChannel) {
    this.channel = openChannel(this);
  }
}

interface Tenant {
  /** Live sessions of all its users. */
  size: number;
  /** By their ids. */
  readonly users: Map<string, User>;
}

export class Registry {
  readonly #deps: Pick<CoreDependencies, "tenants" | "telemetry">;
  readonly #openChannel: (identity: Identity, user: ChannelReaders) => UserChannel;
  readonly #tenants = new Map<string, Tenant>();
  #size = 0;

  constructor(
    deps: Pick<CoreDependencies, "tenants" | "telemetry">,
    openChannel: (identity: Identity, user: ChannelReaders) => UserChannel,
  ) {
    this.#deps = deps;
    this.#openChannel = openChannel;
  }

  get size(): number {
    return this.#size;
  }

  /** How many live sessions the tenant has here. */
  sessionsOf(tenantId: string): number {
    return this.#tenants.get(tenantId)?.size ?? 0;
  }

  *all(): Iterable<RegisteredSession> {
    for (const { users } of this.#tenants.values()) for (const { sessions } of users.values()) yield* sessions;
  }

  /**
   * The higher attempt of a device wins; among equals the later connection. Throws CONFLICT where the device has a session of a higher one,
   * LIMIT_EXCEEDED where there is no place.
   */
  add(session: RegisteredSession): Registration {
    const { tenantId, userId } = session.identity;
    const known = this.#tenants.get(tenantId)?.users.get(userId);
    let replaced: RegisteredSession | undefined;
    for (const other of known?.sessions ?? []) {
      if (other.deviceId !== session.deviceId) continue;
      if (other.attempt > session.attempt) throw outdated(other.attempt);
      replaced = other;
    }
    // Sets iterate in order of insertion.
    const others = (known?.sessions ?? []).filter((other) => other !== replaced);
    const oldest = this.#makePlace(session, others, this.sessionsOf(tenantId) - (known?.sessions.length ?? 0));
    const user = known ?? new User((made) => this.#openChannel(session.identity, made));
    // Exactly as long as it is, where spreading would leave place for sixteen more.
    user.sessions = user.sessions.concat(session);
    const tenant = this.#tenants.get(tenantId) ?? { size: 0, users: new Map() };
    this.#tenants.set(tenantId, tenant);
    tenant.users.set(userId, user);
    tenant.size++;
    this.#size++;
    return { user, replaced, oldest };
  }

  #makePlace(
    session: RegisteredSession,
    others: readonly RegisteredSession[],
    elsewhere: number,
  ): readonly RegisteredSession[] {
    const { tenantId } = session.identity;
    const verdict = admit(session, others, elsewhere, this.#deps.tenants.of(tenantId));
    if (verdict.admitted) return verdict.oldest;
    const { quota, limit, current } = verdict;
    const message = "there would be too many sessions";
    throw quotaRefusal(this.#deps.telemetry, tenantId, quota, { message, limit, current });
  }

  remove(session: RegisteredSession): void {
    const { tenantId, userId } = session.identity;
    const tenant = this.#tenants.get(tenantId);
    const user = tenant?.users.get(userId);
    if (tenant === undefined || user?.sessions.includes(session) !== true) return;
    user.sessions = user.sessions.filter((other) => other !== session);
    this.#size--;
    tenant.size--;
    if (tenant.size === 0) this.#tenants.delete(tenantId);
    if (user.sessions.length > 0) return;
    tenant.users.delete(userId);
    user.channel.close();
  }

  /** The live sessions that a revocation covers. */
  revoked({ tenantId, subject, atMs }: Revocation): readonly RegisteredSession[] {
    if ("userId" in subject) {
      const sessions = this.#tenants.get(tenantId)?.users.get(subject.userId)?.sessions ?? [];
      return sessions.filter((session) => session.verifiedAtMs <= atMs);
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

/** The device's session of a higher attempt stays. */
export function outdated(currentAttempt: number): TrunklineError {
  return new TrunklineError(ErrorCode.CONFLICT, "the device has a session of a higher attempt", {
    field: "hello.attempt",
    details: { current_attempt: String(currentAttempt) },
  });
}
