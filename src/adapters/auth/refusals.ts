// What a caller is told when a token does not verify: nothing that quotes the token.

import { type TokenRefusal, TokenRefusalReason } from "../../gen/trunkline/v1/auth_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** From the auth service's refusal. */
export function refused(refusal: TokenRefusal, token: string): TrunklineError {
  switch (refusal.reason) {
    case TokenRefusalReason.EXPIRED:
      return expired();
    case TokenRefusalReason.REVOKED:
      return unauthenticated("the token has been revoked");
    default:
      return unauthenticated(sentence(refusal.message, token) ?? "the token is not valid");
  }
}

/** The service's reason, unless it is too long or quotes the token. */
function sentence(message: string, token: string): string | undefined {
  return message === "" || message.length > 200 || quotes(message, token) ? undefined : message;
}

/** What a call failed with, fit for a log whatever the service has put into it. */
export function withoutToken(cause: unknown, token: string): unknown {
  const text = cause instanceof Error ? cause.message : String(cause);
  return quotes(text, token) ? new Error("the auth service failed with a text that quotes the token") : cause;
}

function quotes(text: string, token: string): boolean {
  return token.split(".").some((part) => part !== "" && text.includes(part.slice(0, 8)));
}

export function unauthenticated(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAUTHENTICATED, message);
}

export function expired(): TrunklineError {
  return new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired");
}
