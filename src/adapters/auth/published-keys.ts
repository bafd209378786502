// An issuer's published keys (JWKS): fetched when first needed, kept, and fetched again when they age or a key is not among them.

import { createLocalJWKSet, type JSONWebKeySet } from "jose";
import type { Clock } from "../../ports/clock.js";
import { isLoopback } from "../../rpc/tls.js";
import { type KeyLookup, lookupIn } from "./key-lookup.js";

/** How long the issuer may take, in milliseconds: less than a verifier waits. */
const DEFAULT_TIMEOUT_MS = 1_500;
/** Between two fetches because of an unknown key, in milliseconds: forged key ids must not become requests. */
const DEFAULT_COOLDOWN_MS = 30_000;
/** How long keys are used without asking again, in milliseconds. */
const DEFAULT_MAX_AGE_MS = 10 * 60_000;
/** How long they are used while asking again fails, in milliseconds: an issuer's outage is not everybody's. */
const DEFAULT_MAX_STALE_MS = 60 * 60_000;
/** After a fetch has failed, in milliseconds: callers meanwhile share its failure. */
const FAILURE_PAUSE_MS = 1_000;
/** The longest answer, in bytes: hundreds of keys. */
const MAX_BYTES = 256 * 1024;

export interface JwksOptions {
  /** https, or http on loopback. */
  readonly url: string;
  /** Default 1,500. */
  readonly timeoutMs?: number;
  /** Between two fetches because of an unknown key, in milliseconds. Default 30,000. */
  readonly cooldownMs?: number;
  /** How long keys are used without asking again, in milliseconds. Default 600,000. */
  readonly maxAgeMs?: number;
  /** How old keys may get while the issuer cannot be reached, in milliseconds. Default 3,600,000. */
  readonly maxStaleMs?: number;
}

/** The issuer's keys could not be had: nothing can be said about the token. */
export class KeysUnavailable extends Error {
  override readonly name = "KeysUnavailable";
}

/** Throws where the URL is not one to trust. */
export function publishedKeys(options: JwksOptions, clock: Clock): KeyLookup {
  const url = new URL(options.url);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    throw new Error("the JWKS URL must be https, or http on loopback: whoever can change the answer can issue tokens");
  }
  const keys = new PublishedKeys(url, options, clock);
  return async (header, token) => {
    const found = await (await keys.current())(header, token);
    if (found.length > 0 || !keys.mayAskAgain) return found;
    return await (await keys.refreshed())(header, token);
  };
}

interface Fetched {
  readonly lookup: KeyLookup;
  readonly atMs: number;
}

class PublishedKeys {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #cooldownMs: number;
  readonly #maxAgeMs: number;
  readonly #maxStaleMs: number;
  #fetched: Fetched | undefined;
  #failed: { readonly error: KeysUnavailable; readonly atMs: number } | undefined;
  #fetching: Promise<KeyLookup> | undefined;

  constructor(url: URL, options: JwksOptions, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#cooldownMs = options.cooldownMs ?? DEFAULT_COOLDOWN_MS;
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
    this.#maxStaleMs = Math.max(options.maxStaleMs ?? DEFAULT_MAX_STALE_MS, this.#maxAgeMs);
  }

  /** Whether a key that is not there may be a new one. */
  get mayAskAgain(): boolean {
    return this.#ageMs >= this.#cooldownMs;
  }

  /** Keys that are fresh, or as fresh as can be had. Rejects with KeysUnavailable. */
  async current(): Promise<KeyLookup> {
    if (this.#fetched !== undefined && this.#ageMs < this.#maxAgeMs) return this.#fetched.lookup;
    try {
      return await this.refreshed();
    } catch (error) {
      if (this.#fetched !== undefined && this.#ageMs < this.#maxStaleMs) return this.#fetched.lookup;
      throw error;
    }
  }

  /** Rejects with KeysUnavailable. */
  async refreshed(): Promise<KeyLookup> {
    const { error, atMs } = this.#failed ?? {};
    if (error !== undefined && this.#clock.monotonic() - (atMs ?? 0) < FAILURE_PAUSE_MS) throw error;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return await this.#fetching;
  }

  get #ageMs(): number {
    return this.#clock.monotonic() - (this.#fetched?.atMs ?? Number.NEGATIVE_INFINITY);
  }

  async #fetch(): Promise<KeyLookup> {
    const atMs = this.#clock.monotonic();
    try {
      const lookup = lookupIn(createLocalJWKSet(await fetchKeys(this.#url, this.#timeoutMs)));
      this.#fetched = { lookup, atMs };
      this.#failed = undefined;
      return lookup;
    } catch (cause) {
      const error = new KeysUnavailable("the issuer's keys could not be fetched", { cause });
      this.#failed = { error, atMs: this.#clock.monotonic() };
      throw error;
    }
  }
}

/** Whether it is a key set is checked by who takes it. */
async function fetchKeys(url: URL, timeoutMs: number): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    // Somebody else's address is not the one that was configured.
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the issuer answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes of keys`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}
