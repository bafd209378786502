// Tokens for tests, signed by hand: JWTs of a shared secret or of a development server's key, and ones that must be refused.

import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { isObject, text } from "./client/index.js";

export interface TokenClaims {
  readonly user: string;
  readonly tenant?: string;
  readonly name?: string;
  readonly grants?: readonly string[];
  /** From now; below zero: expired. Absent: an hour. */
  readonly expiresInSeconds?: number;
}

/** What signs, and what the tokens say of whom they are from and for. */
export interface TokenIssuer {
  readonly key: { readonly secret: string } | { readonly ed25519: KeyObject; readonly kid: string };
  readonly issuer?: string;
  readonly audience?: string;
}

const HOUR_S = 3600;

/** The issuer that `trunkline dev` trusts: the private JWK in its data directory. */
export function issuerOfKeyFile(path: string, issuer = "trunkline-dev"): TokenIssuer {
  const jwk: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (!isObject(jwk)) throw new Error(`${path} is no JWK`);
  const { kty, crv, x, d } = jwk;
  const key = { kty: text(kty), crv: text(crv), x: text(x), d: text(d) };
  return { key: { ed25519: createPrivateKey({ key, format: "jwk" }), kid: text(jwk.kid) }, issuer };
}

export function signToken(by: TokenIssuer, claims: TokenClaims): string {
  const alg = "secret" in by.key ? "HS256" : "EdDSA";
  const kid = "secret" in by.key ? {} : { kid: by.key.kid };
  const body = `${part({ alg, typ: "JWT", ...kid })}.${payload(by, claims)}`;
  return `${body}.${signature(by, body)}`;
}

/** The same claims under a signature of somebody else's. */
export function forgeToken(by: TokenIssuer, claims: TokenClaims): string {
  const key =
    "secret" in by.key
      ? { secret: `not ${by.key.secret}` }
      : { ed25519: generateKeyPairSync("ed25519").privateKey, kid: by.key.kid };
  return signToken({ ...by, key }, claims);
}

/** The same claims with no signature at all, and saying so. */
export function unsignedToken(by: TokenIssuer, claims: TokenClaims): string {
  return `${part({ alg: "none", typ: "JWT" })}.${payload(by, claims)}.`;
}

function signature({ key }: TokenIssuer, body: string): string {
  if ("secret" in key) return createHmac("sha256", key.secret).update(body).digest("base64url");
  return sign(null, Buffer.from(body), key.ed25519).toString("base64url");
}

function payload(by: TokenIssuer, claims: TokenClaims): string {
  const now = Math.floor(Date.now() / 1000);
  const lifetime = claims.expiresInSeconds ?? HOUR_S;
  return part({
    sub: claims.user,
    tenant: claims.tenant ?? "demo",
    name: claims.name ?? claims.user,
    grants: claims.grants ?? [],
    jti: randomUUID(),
    iat: Math.min(now, now + lifetime) - 1,
    exp: now + lifetime,
    ...(by.issuer === undefined ? {} : { iss: by.issuer }),
    ...(by.audience === undefined ? {} : { aud: by.audience }),
  });
}

function part(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString("base64url");
}
