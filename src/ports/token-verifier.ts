// Who a token stands for: the answer of the customer's auth service.

/** What a verified token says. Tenant and user come from here and from nowhere else. */
export interface Identity {
  readonly tenantId: string;
  readonly userId: string;
  readonly displayName: string;
  /** "service", "admin". */
  readonly grants: ReadonlySet<string>;
  /** Milliseconds since 1970. Undefined: never. */
  readonly expiresAtMs: number | undefined;
  /** By which the token can be revoked; empty: only by user. */
  readonly tokenId: string;
}

/** What was revoked: one token, or all of a user's tokens that were verified before `atMs`. */
export interface Revocation {
  readonly tenantId: string;
  readonly subject: { readonly tokenId: string } | { readonly userId: string };
  readonly atMs: number;
}

export interface TokenVerifier {
  /**
   * Rejects with UNAUTHENTICATED (bad, revoked), TOKEN_EXPIRED, or UNAVAILABLE with `retryAfterMs` (the auth service is away).
   * Never resolves with an identity that has expired. May answer from a cache that is at most 60 s old.
   */
  verify(token: string): Promise<Identity>;

  /** Calls the listener for every revocation from now on. Returns what ends it. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;

  /**
   * The node was away, and may have missed revocations: asks again for those since the last one it has heard of, soon. A verifier that cannot miss
   * any has no need of it.
   */
  relearn?(): void;

  /** Whether the auth service can be reached, as far as known: for readiness. */
  readonly available: boolean;

  /** Ends connections and timers. */
  close(): Promise<void>;
}
