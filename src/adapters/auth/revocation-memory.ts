// What was revoked lately, so that an answer asked for before a revocation is never used after it.

import type { Identity, Revocation } from "../../ports/token-verifier.js";

/** How revocations and answers are ordered: a count of revocations seen, which no clock can upset. */
export type Stamp = number;

export class RevocationMemory {
  readonly #capacity: number;
  readonly #users = new Map<string, Stamp>();
  readonly #tokens = new Map<string, Stamp>();
  #stamp: Stamp = 0;
  // The youngest revocation that had to be forgotten: whatever is older than it is in doubt.
  #floor: Stamp = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The stamp of something that begins now. */
  get now(): Stamp {
    return this.#stamp;
  }

  note(revocation: Revocation): void {
    this.#stamp += 1;
    const { subject, tenantId } = revocation;
    if ("tokenId" in subject) this.#remember(this.#tokens, key(tenantId, subject.tokenId));
    else this.#remember(this.#users, key(tenantId, subject.userId));
  }

  /** Whether this very token was revoked. True for as long as it is remembered, whatever the auth service says meanwhile. */
  revoked(identity: Identity): boolean {
    return identity.tokenId !== "" && this.#tokens.has(key(identity.tenantId, identity.tokenId));
  }

  /** Whether an identity asked for at `since` may have been revoked after that: it must be asked for anew. */
  doubtful(identity: Identity, since: Stamp): boolean {
    const revokedAt = this.#users.get(key(identity.tenantId, identity.userId)) ?? 0;
    return Math.max(revokedAt, this.#floor) > since || this.revoked(identity);
  }

  #remember(map: Map<string, Stamp>, subject: string): void {
    map.delete(subject);
    map.set(subject, this.#stamp);
    if (map.size <= this.#capacity) return;
    const oldest = map.entries().next();
    if (oldest.done === true) return;
    map.delete(oldest.value[0]);
    this.#floor = Math.max(this.#floor, oldest.value[1]);
  }
}

/** Neither part can hold the separator. */
function key(tenantId: string, id: string): string {
  return `${tenantId}/${id}`;
}
