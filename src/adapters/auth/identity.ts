// From the auth service's answer to an identity: nothing of it is taken on trust.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { TokenIdentity, WatchRevocationsResponse } from "../../gen/trunkline/v1/auth_pb.js";
import type { Identity, Revocation } from "../../ports/token-verifier.js";

/** A tenant, user or token id. */
const ID = /^[A-Za-z0-9._:~-]{1,128}$/;
/** The longest token that is looked at, in bytes: what HTTP servers commonly take as one header. */
export const MAX_TOKEN_BYTES = 8 * 1024;
/** The longest display name, in bytes of UTF-8. */
export const MAX_DISPLAY_NAME_BYTES = 256;
/** More grants than a token has use for. */
export const MAX_GRANTS = 64;
/** Most users have none: one set for all of them. */
const NO_GRANTS: ReadonlySet<string> = new Set();

/** Whether the text is a legal tenant, user or token id. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** Why an answer cannot be used: names the field, never its value. */
export class BadAnswer extends Error {
  override readonly name = "BadAnswer";
}

/** Throws BadAnswer. */
export function toIdentity(answer: TokenIdentity): Identity {
  if (!isId(answer.tenantId)) throw new BadAnswer("tenant_id is empty or not a legal id");
  if (!isId(answer.userId)) throw new BadAnswer("user_id is empty or not a legal id");
  if (answer.tokenId !== "" && !isId(answer.tokenId)) throw new BadAnswer("token_id is not a legal id");
  if (answer.grants.length > MAX_GRANTS) throw new BadAnswer(`more than ${MAX_GRANTS} grants`);
  if (!answer.grants.every(isId)) throw new BadAnswer("a grant is not a legal id");
  return {
    tenantId: answer.tenantId,
    userId: answer.userId,
    displayName: shorten(answer.displayName, MAX_DISPLAY_NAME_BYTES),
    grants: answer.grants.length === 0 ? NO_GRANTS : new Set(answer.grants),
    expiresAtMs: answer.expiresAt === undefined ? undefined : timestampMs(answer.expiresAt),
    tokenId: answer.tokenId,
  };
}

/**
 * How far the auth service's clock may lag behind this one, in milliseconds. A fresh revocation must cover a token that was verified
 * before it by any clock; a user who has signed in again meanwhile merely reconnects.
 */
const CLOCK_LAG_MS = 10_000;

/** By this node's clock, `nowMs`. Throws BadAnswer. */
export function toRevocation(message: WatchRevocationsResponse, nowMs: number): Revocation {
  if (!isId(message.tenantId)) throw new BadAnswer("tenant_id is empty or not a legal id");
  const { subject } = message;
  if (subject.case === undefined) throw new BadAnswer("no subject");
  if (!isId(subject.value)) throw new BadAnswer(`${subject.case} is empty or not a legal id`);
  const saidMs = message.at === undefined ? nowMs : timestampMs(message.at);
  return {
    tenantId: message.tenantId,
    subject: subject.case === "tokenId" ? { tokenId: subject.value } : { userId: subject.value },
    atMs: saidMs >= nowMs - CLOCK_LAG_MS ? nowMs : saidMs,
  };
}

/** Cuts between characters. */
export function shorten(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxBytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}
