// The keys that tokens are verified with: a shared secret, public keys from files, an issuer's published keys.

import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createLocalJWKSet, type JSONWebKeySet, type JWK } from "jose";
import type { Clock } from "../../ports/clock.js";
import type { DevIssuer } from "./dev-issuer.js";
import { type KeyLookup, lookupIn, noKeys } from "./key-lookup.js";
import { type JwksOptions, publishedKeys } from "./published-keys.js";

/** The shortest shared secret, in bytes: the size of HS256's digest (RFC 7518, 3.2). */
export const MIN_SECRET_BYTES = 32;
/** The shortest RSA modulus, in bits (RFC 7518, 3.3). */
const MIN_RSA_BITS = 2048;
/** P-256, P-384 and P-521 by their OpenSSL names (RFC 7518, 3.4). */
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** At least one of them. An algorithm goes with one kind only: a public key is never taken for a secret. */
export interface JwtKeySources {
  /** For HS256, HS384 and HS512; at least 32 bytes. */
  readonly secret?: string | Uint8Array;
  /** Paths of PEM public keys or certificates, JWK or JWKS files. */
  readonly files?: readonly string[];
  /** Where the issuer publishes its keys. */
  readonly jwks?: JwksOptions;
  /** Keys of tokens that anybody on this machine may have asked for. */
  readonly development?: DevIssuer;
}

/**
 * Reads the files. Throws a plain error that names what is wrong with which source. The lookup rejects with KeysUnavailable where an
 * issuer cannot be asked.
 */
export async function openKeys(sources: JwtKeySources, clock: Clock): Promise<KeyLookup> {
  const secret = sources.secret === undefined ? undefined : checkSecret(sources.secret);
  const local: JWK[] = sources.development === undefined ? [] : [sources.development.publicKey];
  for (const path of sources.files ?? []) local.push(...(await readKeys(path)));
  const named = localKeys(local);
  // A PEM file has no place for a key id: such a key may be the one that a token names.
  const unnamed = localKeys(local.filter((key) => key.kid === undefined));
  const published = sources.jwks === undefined ? noKeys : publishedKeys(sources.jwks, clock);
  if (secret === undefined && local.length === 0 && sources.jwks === undefined) {
    throw new Error("no keys to verify tokens with");
  }
  return async (header, token) => {
    if (header.alg?.startsWith("HS")) return secret === undefined ? [] : [secret];
    const exact = await named(header, token);
    if (header.kid === undefined) return [...exact, ...(await published(header, token))];
    if (exact.length > 0) return exact;
    const { kid: _, ...anyKey } = header;
    return [...(await unnamed(anyKey, token)), ...(await published(header, token))];
  };
}

function localKeys(keys: readonly JWK[]): KeyLookup {
  return keys.length === 0 ? noKeys : lookupIn(createLocalJWKSet({ keys: [...keys] }));
}

function checkSecret(secret: string | Uint8Array): Uint8Array {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (bytes.byteLength < MIN_SECRET_BYTES) {
    throw new Error(`the secret for tokens has ${bytes.byteLength} bytes; at least ${MIN_SECRET_BYTES} are needed`);
  }
  return bytes;
}

async function readKeys(path: string): Promise<readonly JWK[]> {
  const text = await readFile(path, "utf8");
  try {
    return text.trimStart().startsWith("{") ? parseJson(text) : [fromPem(text)];
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : "not a key"}`, { cause: error });
  }
}

function parseJson(text: string): readonly JWK[] {
  const json: JWK | JSONWebKeySet = JSON.parse(text);
  const keys: readonly JWK[] = "keys" in json && Array.isArray(json.keys) ? json.keys : [json as JWK];
  if (keys.length === 0) throw new Error("holds no key");
  for (const key of keys) {
    if (key.kty === "oct") throw new Error("holds a shared secret; give it as the secret instead");
    if (key.d !== undefined) throw new Error("holds a private key; only the public one is needed to verify");
    // Throws on what is not a key.
    checkKey(createPublicKey({ key: { ...key }, format: "jwk" }));
  }
  return keys;
}

function fromPem(text: string): JWK {
  if (text.includes("PRIVATE KEY")) throw new Error("holds a private key; only the public one is needed to verify");
  const key = createPublicKey(text);
  checkKey(key);
  return { ...key.export({ format: "jwk" }) } as JWK;
}

function checkKey(key: KeyObject): void {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return;
    case "rsa":
      if ((modulusLength ?? 0) >= MIN_RSA_BITS) return;
      throw new Error(`an RSA key of ${modulusLength} bits; at least ${MIN_RSA_BITS} are needed`);
    case "ec":
      if (CURVES.has(namedCurve ?? "")) return;
      throw new Error(`an EC key of the curve ${namedCurve}, with which no token can be signed`);
    default:
      throw new Error(`a key of the kind ${key.asymmetricKeyType}, with which no token can be signed`);
  }
}
