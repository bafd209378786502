// From a token's claims to an identity, by configuration.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { JWTPayload } from "jose";
import { type TokenIdentity, TokenIdentitySchema } from "../../gen/trunkline/v1/auth_pb.js";
import { isId, MAX_DISPLAY_NAME_BYTES, MAX_GRANTS, shorten } from "./identity.js";

/**
 * Which claims say what. A name is looked for as it stands, then, where it has dots, as a path (`realm_access.roles`); so names that
 * are URLs work too.
 */
export interface ClaimNames {
  /** Default `tenant`. Not read where the tenant is fixed. */
  readonly tenant: string;
  /** Default `sub`. */
  readonly user: string;
  /** The user's name for people. Default `name`. */
  readonly name: string;
  /** A list, or a text with spaces between (as `scope` is). Default `grants`. */
  readonly grants: string;
}

export const DEFAULT_CLAIMS: ClaimNames = { tenant: "tenant", user: "sub", name: "name", grants: "grants" };

/** A claim that is missing or unusable: names the claim, never its value. */
export class BadClaim extends Error {
  override readonly name = "BadClaim";
}

/** Throws BadClaim. */
export function identityFrom(payload: JWTPayload, names: ClaimNames, fixedTenant: string | undefined): TokenIdentity {
  return create(TokenIdentitySchema, {
    tenantId: fixedTenant ?? id(payload, names.tenant),
    userId: id(payload, names.user),
    displayName: displayName(claim(payload, names.name)),
    grants: grants(claim(payload, names.grants), names.grants),
    tokenId: payload.jti === undefined ? "" : id(payload, "jti"),
    ...(payload.exp === undefined ? {} : { expiresAt: timestampFromMs(Math.floor(payload.exp * 1000)) }),
  });
}

function id(payload: JWTPayload, name: string): string {
  const value = claim(payload, name);
  if (value === undefined) throw new BadClaim(`the claim ${name} is missing`);
  // Some issuers number their users.
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !isId(text)) throw new BadClaim(`the claim ${name} is not 1–128 of [A-Za-z0-9._:~-]`);
  return text;
}

/** Not worth refusing anybody for. */
function displayName(value: unknown): string {
  return typeof value === "string" && value.isWellFormed() ? shorten(value, MAX_DISPLAY_NAME_BYTES) : "";
}

function grants(value: unknown, name: string): string[] {
  if (value === undefined || value === null) return [];
  const list = typeof value === "string" ? value.split(" ").filter((grant) => grant !== "") : value;
  if (!Array.isArray(list)) throw new BadClaim(`the claim ${name} is not a list`);
  // Other applications' scopes may hold anything; what could not be a grant here is not one.
  return list.filter((grant): grant is string => typeof grant === "string" && isId(grant)).slice(0, MAX_GRANTS);
}

function claim(payload: JWTPayload, name: string): unknown {
  const whole = own(payload, name);
  if (whole !== undefined || !name.includes(".")) return whole;
  return name.split(".").reduce<unknown>(own, payload);
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
