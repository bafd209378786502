// The auth service's own list of revocations: what it refuses, and what those who watch it are sent.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type TokenIdentity,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../../gen/trunkline/v1/auth_pb.js";
import type { Clock } from "../../ports/clock.js";

/** What a watcher without a cursor is sent, in milliseconds back from now: the contract's hour. */
const HISTORY_MS = 60 * 60_000;

/** One token, or all of a user's tokens that were issued before now. */
export type RevokeRequest =
  | { readonly tenantId: string; readonly tokenId: string }
  | { readonly tenantId: string; readonly userId: string };

export interface RevocationListOptions {
  readonly clock: Clock;
  /** Tells this list's cursors from those of the list of an earlier start. */
  readonly epoch: string;
  /** The oldest are forgotten beyond so many, and no longer refused. */
  readonly capacity: number;
}

interface Entry {
  readonly atMs: number;
  readonly message: WatchRevocationsResponse;
}

export class RevocationList {
  readonly #options: RevocationListOptions;
  readonly #entries: Entry[] = [];
  // How many were forgotten: entry i has the number forgotten + i.
  #forgotten = 0;
  readonly #tokens = new Map<string, number>();
  readonly #users = new Map<string, number>();
  readonly #watchers = new Set<() => void>();

  constructor(options: RevocationListOptions) {
    this.#options = options;
  }

  add(request: RevokeRequest): void {
    const atMs = this.#options.clock.now();
    const number = this.#forgotten + this.#entries.length;
    const subject =
      "tokenId" in request
        ? ({ case: "tokenId", value: request.tokenId } as const)
        : ({ case: "userId", value: request.userId } as const);
    const message = create(WatchRevocationsResponseSchema, {
      tenantId: request.tenantId,
      subject,
      at: timestampFromMs(atMs),
      cursor: `${this.#options.epoch}.${number}`,
    });
    this.#entries.push({ atMs, message });
    this.#index(subject.case).set(key(request.tenantId, subject.value), atMs);
    if (this.#entries.length > this.#options.capacity) this.#forgetOldest();
    for (const wake of this.#watchers) wake();
  }

  /** Whether a token is revoked. One that does not say when it was issued counts as issued before everything. */
  covers(token: TokenIdentity, issuedAtMs: number | undefined): boolean {
    if (token.tokenId !== "" && this.#tokens.has(key(token.tenantId, token.tokenId))) return true;
    const userAtMs = this.#users.get(key(token.tenantId, token.userId));
    return userAtMs !== undefined && (issuedAtMs ?? 0) < userAtMs;
  }

  /** The number of the first entry for somebody with this cursor. */
  startFor(cursor: string): number {
    const [epoch, number] = cursor.split(".");
    if (epoch === this.#options.epoch && number !== undefined && /^\d{1,15}$/.test(number)) return Number(number) + 1;
    const since = this.#options.clock.now() - HISTORY_MS;
    const index = this.#entries.findIndex((entry) => entry.atMs >= since);
    return this.#forgotten + (index < 0 ? this.#entries.length : index);
  }

  /** The first entry that is not older than `number`, with the number after it. */
  next(number: number): { readonly message: WatchRevocationsResponse; readonly after: number } | undefined {
    const at = Math.max(number, this.#forgotten);
    const entry = this.#entries[at - this.#forgotten];
    return entry && { message: entry.message, after: at + 1 };
  }

  /** Calls `wake` after every addition. Returns what ends it. */
  onAdded(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  #forgetOldest(): void {
    const oldest = this.#entries.shift();
    if (oldest === undefined) return;
    this.#forgotten += 1;
    const { subject, tenantId } = oldest.message;
    if (subject.case === undefined) return;
    const index = this.#index(subject.case);
    const subjectKey = key(tenantId, subject.value);
    // It may have been revoked again since.
    if (index.get(subjectKey) === oldest.atMs) index.delete(subjectKey);
  }

  #index(subject: "tokenId" | "userId"): Map<string, number> {
    return subject === "tokenId" ? this.#tokens : this.#users;
  }
}

function key(tenantId: string, id: string): string {
  return `${tenantId}/${id}`;
}
