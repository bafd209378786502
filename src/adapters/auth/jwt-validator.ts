// Validates JSON Web Tokens: signature, issuer, audience, times; then their claims.

import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { type TokenIdentity, TokenRefusalReason } from "../../gen/trunkline/v1/auth_pb.js";
import type { Clock } from "../../ports/clock.js";
import { isId } from "./identity.js";
import { BadClaim, type ClaimNames, DEFAULT_CLAIMS, identityFrom } from "./jwt-claims.js";
import { type JwtKeySources, openKeys } from "./jwt-keys.js";
import type { KeyLookup, VerificationKey } from "./key-lookup.js";
import { KeysUnavailable } from "./published-keys.js";

/** What may sign a token. Which of them a key accepts is decided by the key; `none` is not among them. */
export const JWT_ALGORITHMS = [
  ...["EdDSA", "Ed25519", "ES256", "ES384", "ES512"],
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["HS256", "HS384", "HS512"],
] as const;

/** How far the issuer's clock may differ, in milliseconds. */
const DEFAULT_CLOCK_SKEW_MS = 5_000;

export interface JwtOptions {
  readonly keys: JwtKeySources;
  /** Only these algorithms. Default: all that fit the keys. */
  readonly algorithms?: readonly string[];
  /** Accept only tokens of one of these issuers (`iss`). Default: any, as the keys are theirs. */
  readonly issuer?: string | readonly string[];
  /** Accept only tokens for one of these audiences (`aud`). Default: any. */
  readonly audience?: string | readonly string[];
  /** How far clocks may differ when a token's times are judged, in milliseconds. Default 5,000. */
  readonly clockSkewMs?: number;
  /** Accept tokens that never expire. Default: refused. */
  readonly allowNoExpiry?: boolean;
  /** The tenant of every token, for issuers with one tenant; the tenant claim is not read then. */
  readonly tenant?: string;
  readonly claims?: Partial<ClaimNames>;
}

export type JwtVerdict =
  | { readonly valid: true; readonly identity: TokenIdentity; readonly issuedAtMs: number | undefined }
  /** `message` is for a developer and holds nothing of the token. */
  | { readonly valid: false; readonly reason: TokenRefusalReason; readonly message: string };

export interface JwtValidator {
  /** Rejects with KeysUnavailable where nothing can be said, and with nothing else. */
  validate(token: string): Promise<JwtVerdict>;
}

/** Reads keys and checks the options. Throws a plain error that says what is wrong with them. */
export async function createJwtValidator(options: JwtOptions, clock: Clock): Promise<JwtValidator> {
  for (const algorithm of options.algorithms ?? []) {
    if (!JWT_ALGORITHMS.some((known) => known === algorithm)) throw new Error(`${algorithm}: not a known algorithm`);
  }
  if (options.tenant !== undefined && !isId(options.tenant)) throw new Error("the fixed tenant is not a legal id");
  const keys = await openKeys(options.keys, clock);
  const names = { ...DEFAULT_CLAIMS, ...options.claims };
  const checks = toChecks(options);
  return {
    validate: async (token) => {
      try {
        const payload = await verify(token, keys, { ...checks, currentDate: new Date(clock.now()) });
        const issuedAtMs = payload.iat === undefined ? undefined : payload.iat * 1000;
        return { valid: true, identity: identityFrom(payload, names, options.tenant), issuedAtMs };
      } catch (error) {
        if (error instanceof KeysUnavailable) throw error;
        return refusal(error);
      }
    },
  };
}

function toChecks(options: JwtOptions): JWTVerifyOptions {
  const { issuer, audience } = options;
  return {
    algorithms: [...(options.algorithms ?? JWT_ALGORITHMS)],
    clockTolerance: (options.clockSkewMs ?? DEFAULT_CLOCK_SKEW_MS) / 1000,
    requiredClaims: options.allowNoExpiry === true ? [] : ["exp"],
    ...(issuer === undefined ? {} : { issuer: list(issuer) }),
    ...(audience === undefined ? {} : { audience: list(audience) }),
  };
}

function list(value: string | readonly string[]): string[] {
  return typeof value === "string" ? [value] : [...value];
}

/** Several keys may fit a header without a key id: one of them must verify. */
async function verify(token: string, keys: KeyLookup, checks: JWTVerifyOptions): Promise<JWTPayload> {
  let rest: readonly VerificationKey[] = [];
  try {
    const first = await jwtVerify(
      token,
      async (header, input) => {
        const [key, ...others] = await keys(header, input);
        rest = others;
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      checks,
    );
    return first.payload;
  } catch (error) {
    if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    for (const key of rest) {
      try {
        return (await jwtVerify(token, key, checks)).payload;
      } catch (next) {
        if (!(next instanceof errors.JWSSignatureVerificationFailed)) throw next;
      }
    }
    throw error;
  }
}

/** Texts of our own: an error's text may quote the token. */
function refusal(error: unknown): JwtVerdict {
  if (error instanceof errors.JWTExpired) return refuse(TokenRefusalReason.EXPIRED, "the token has expired");
  return refuse(TokenRefusalReason.INVALID, reason(error));
}

function refuse(reason: TokenRefusalReason, message: string): JwtVerdict {
  return { valid: false, reason, message };
}

const CLAIMS: Readonly<Record<string, string>> = {
  iss: "the token is not of an accepted issuer",
  aud: "the token is not for this audience",
  nbf: "the token is not valid yet",
  exp: "the token has no time of expiry",
};

function reason(error: unknown): string {
  if (error instanceof BadClaim) return error.message;
  if (error instanceof errors.JWTClaimValidationFailed)
    return CLAIMS[error.claim] ?? "a claim of the token is not valid";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the signature does not verify";
  if (error instanceof errors.JWKSNoMatchingKey) return "no key fits the token";
  if (error instanceof errors.JOSEAlgNotAllowed) return "the algorithm is not accepted";
  return "not a JSON Web Token";
}
