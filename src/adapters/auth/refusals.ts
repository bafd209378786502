// What a caller is told when a token does not verify: nothing that quotes the token.

import { status } from "@grpc/grpc-js";
import { type TokenRefusal, TokenRefusalReason } from "../../gen/trunkline/v1/auth_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** Statuses by which a service that works turns one call down: they say nothing about its health. */
const JUDGED: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  // What a handler that throws turns into: one odd token must not shut everybody out.
  status.UNKNOWN,
]);

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

/** Whether a call's failure is about the call, not about the service's health. */
export function isJudgement(error: unknown): boolean {
  return (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    typeof error.code === "number" &&
    JUDGED.has(error.code)
  );
}

export function unauthenticated(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAUTHENTICATED, message);
}

export function expired(): TrunklineError {
  return new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired");
}

export function unavailable(message: string, retryAfterMs: number, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, {
    retryAfterMs: Math.max(1, Math.ceil(retryAfterMs)),
    cause,
  });
}
