// Verifies tokens by asking the auth service: cached, once per token at a time, and without waiting for a service that is away.

import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  AuthService,
  ValidateTokenRequestSchema,
  type ValidateTokenResponse,
  WatchRevocationsRequestSchema,
  type WatchRevocationsResponse,
} from "../../gen/trunkline/v1/auth_pb.js";
import type { Clock } from "../../ports/clock.js";
import { TrunklineError } from "../../ports/error.js";
import type { Identity, Revocation, TokenVerifier } from "../../ports/token-verifier.js";
import { serviceDefinition } from "../../rpc/definition.js";
import type { ClientTls } from "../../rpc/tls.js";
import { ExpiringCache } from "../outside/expiring-cache.js";
import { OutsideService } from "../outside/outside-service.js";
import type { WaitingLimits } from "../outside/waiting-line.js";
import { BadAnswer, MAX_TOKEN_BYTES, toIdentity, toRevocation } from "./identity.js";
import { expired, refused, unauthenticated, withoutToken } from "./refusals.js";
import { RevocationMemory, type Stamp } from "./revocation-memory.js";
import { RevocationWatch } from "./revocation-watch.js";

/** The contract's promise: an answer is never older, in milliseconds. */
const MAX_CACHE_MS = 60_000;
/** How long a refusal is repeated without asking, in milliseconds: one bad token in a loop costs little. */
const REFUSAL_CACHE_MS = 5_000;
/** Answers kept, of each kind. Separate, so that a flood of bad tokens displaces no good one. */
const CACHE_ENTRIES = 10_000;
/** Revocations remembered, of tokens and of users each. */
const REMEMBERED_REVOCATIONS = 20_000;
/** How long an answer is waited for, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 2_000;
/** Questions without an answer yet; more would only queue up inside the auth service. */
const DEFAULT_MAX_IN_FLIGHT = 256;
/**
 * Questions that wait to be asked: whoever returns with everybody else, after a restart, is verified a moment later instead of being sent
 * away. The wait and the answer fit into the handshake's deadline.
 */
const DEFAULT_LINE: WaitingLimits = { places: 10_000, longestMs: 5_000 };
/** The longest answer, in bytes: an identity and its attributes. */
const MAX_ANSWER_BYTES = 256 * 1024;

const { validateToken, watchRevocations } = serviceDefinition(AuthService);

export interface TokenVerifierOptions {
  /** host:port, or any gRPC target of the auth service. */
  readonly address: string;
  readonly tls?: ClientTls;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. Default: Math.random. */
  readonly random?: () => number;
  /** Deadline of one question, in milliseconds. Default 2,000. */
  readonly timeoutMs?: number;
  /** How long an answer is reused, in milliseconds, at most 60,000 (the default). 0: never. */
  readonly cacheMs?: number;
  /** Questions without an answer at once. Default 256; those beyond wait. */
  readonly maxInFlight?: number;
  /** How many questions wait to be asked, and for how long; beyond either UNAVAILABLE. Default 10,000 and 5,000 ms. */
  readonly line?: WaitingLimits;
  /** Between pings on the connection, in milliseconds. Default 300,000: the least that common servers tolerate. */
  readonly keepaliveMs?: number;
  /** Told what operators want to know. Must not throw. */
  readonly report?: (event: TokenVerifierEvent) => void;
}

/** What happens between this node and the auth service. No token, no id. */
export type TokenVerifierEvent =
  /** It has failed several times in a row: tokens that are not cached are refused as UNAVAILABLE without asking. */
  | { readonly kind: "auth.down"; readonly cause: unknown }
  | { readonly kind: "auth.up" }
  /** It answered something the contract does not allow. */
  | { readonly kind: "auth.bad_answer"; readonly reason: string }
  /** The stream of revocations has ended; it is opened again where it ended. */
  | { readonly kind: "revocations.lost"; readonly cause: unknown; readonly retryInMs: number }
  /** The auth service does not offer revocations: a revoked token stays usable until it expires. */
  | { readonly kind: "revocations.unsupported" };

/** Connects at once, for revocations. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  return new GrpcTokenVerifier(options);
}

interface Verified {
  readonly identity: Identity;
  readonly since: Stamp;
}

class GrpcTokenVerifier implements TokenVerifier {
  readonly #clock: Clock;
  readonly #cacheMs: number;
  readonly #report: (event: TokenVerifierEvent) => void;
  readonly #service: OutsideService;
  readonly #watch: RevocationWatch;
  readonly #memory = new RevocationMemory(REMEMBERED_REVOCATIONS);
  readonly #verified = new ExpiringCache<Verified>(CACHE_ENTRIES);
  readonly #refused = new ExpiringCache<TrunklineError>(CACHE_ENTRIES);
  readonly #asking = new Map<string, Promise<Identity>>();
  readonly #listeners = new Set<(revocation: Revocation) => void>();
  #closed = false;

  constructor(options: TokenVerifierOptions) {
    this.#clock = options.clock;
    this.#cacheMs = Math.min(options.cacheMs ?? MAX_CACHE_MS, MAX_CACHE_MS);
    this.#report = options.report ?? (() => {});
    const { address, tls, keepaliveMs, clock, random = Math.random } = options;
    this.#service = new OutsideService({
      address,
      tls,
      keepaliveMs,
      clock,
      random,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      maxInFlight: options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      line: options.line ?? DEFAULT_LINE,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      refusals: {
        away: "the auth service cannot be reached",
        failed: "the auth service could not verify the token",
        busy: "too many tokens are being verified",
      },
      onTurn: (away) => this.#turned(away),
    });
    this.#watch = new RevocationWatch({
      clock: this.#clock,
      random,
      connect: (cursor) => this.#service.stream(watchRevocations, create(WatchRevocationsRequestSchema, { cursor })),
      onMessage: (message) => this.#revoke(message),
      onLost: (cause, retryInMs) => this.#report({ kind: "revocations.lost", cause, retryInMs }),
      onUnsupported: () => this.#report({ kind: "revocations.unsupported" }),
    });
  }

  get available(): boolean {
    return this.#service.available;
  }

  relearn(): void {
    this.#watch.restart();
  }

  async verify(token: string): Promise<Identity> {
    if (token === "") throw unauthenticated("no token");
    // Lone surrogates are not text that could be sent.
    if (!token.isWellFormed()) throw unauthenticated("the token is malformed");
    if (Buffer.byteLength(token) > MAX_TOKEN_BYTES)
      throw unauthenticated(`the token is longer than ${MAX_TOKEN_BYTES} bytes`);
    // The token itself is not kept.
    const key = createHash("sha256").update(token).digest("base64");
    const now = this.#clock.monotonic();
    const refusal = this.#refused.get(key, now);
    if (refusal !== undefined) throw refusal;
    const verified = this.#verified.get(key, now);
    if (verified !== undefined && !this.#memory.doubtful(verified.identity, verified.since)) {
      return this.#unexpired(verified.identity);
    }
    return await (this.#asking.get(key) ?? this.#ask(key, token));
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    // Its own function, so that a listener given twice is two listeners.
    const own = (revocation: Revocation) => listener(revocation);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    this.#service.giveUp();
    await Promise.allSettled(this.#asking.values());
    this.#service.close();
    this.#listeners.clear();
  }

  /** One question for everybody who holds this token. */
  async #ask(key: string, token: string): Promise<Identity> {
    const asking = this.#fetch(key, token).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return await asking;
  }

  async #fetch(key: string, token: string): Promise<Identity> {
    const askedAt = this.#clock.monotonic();
    const since = this.#memory.now;
    const request = create(ValidateTokenRequestSchema, { token });
    const answer = await this.#service.ask(validateToken, request, (cause) => withoutToken(cause, token));
    try {
      const identity = this.#accept(answer, token, since);
      if (this.#cacheMs > 0) this.#verified.set(key, { identity, since }, askedAt + this.#cacheMs);
      return identity;
    } catch (error) {
      const refusal = TrunklineError.from(error);
      if (!refusal.retryable) this.#refused.set(key, refusal, askedAt + Math.min(REFUSAL_CACHE_MS, this.#cacheMs));
      throw refusal;
    }
  }

  #accept(answer: ValidateTokenResponse, token: string, since: Stamp): Identity {
    const { outcome } = answer;
    if (outcome.case === "refusal") throw refused(outcome.value, token);
    if (outcome.case === undefined) {
      this.#report({ kind: "auth.bad_answer", reason: "neither identity nor refusal" });
      throw unauthenticated("the auth service did not say whom the token stands for");
    }
    const identity = this.#read(() => toIdentity(outcome.value));
    if (identity === undefined) throw unauthenticated("the auth service named an identity that is not allowed");
    if (this.#memory.revoked(identity)) throw unauthenticated("the token has been revoked");
    if (this.#memory.doubtful(identity, since)) {
      throw this.#service.unavailable("tokens were revoked meanwhile");
    }
    return this.#unexpired(identity);
  }

  #unexpired(identity: Identity): Identity {
    if (identity.expiresAtMs !== undefined && identity.expiresAtMs <= this.#clock.now()) throw expired();
    return identity;
  }

  #revoke(message: WatchRevocationsResponse): void {
    const revocation = this.#read(() => toRevocation(message, this.#clock.now()));
    if (revocation === undefined) return;
    this.#memory.note(revocation);
    for (const listener of this.#listeners) listener(revocation);
  }

  /** What the auth service sent, or undefined and a report where it breaks the contract. */
  #read<T>(parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof BadAnswer)) throw error;
      this.#report({ kind: "auth.bad_answer", reason: error.message });
      return undefined;
    }
  }

  #turned(away: { readonly cause: unknown } | undefined): void {
    if (away === undefined) {
      this.#report({ kind: "auth.up" });
      return;
    }
    this.#report({ kind: "auth.down", cause: away.cause });
    this.#watch.restart();
  }
}
