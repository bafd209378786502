// Why something was not done.

import type { ErrorCode, Error as WireError } from "./gen/types.js";

/** The server refused what was asked. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** One of the contract's codes, e.g. `ERROR_CODE_NOT_A_MEMBER`. */
  readonly code: ErrorCode;
  /** Whether the same may succeed later. The client sends changes again by itself. */
  readonly retryable: boolean;
  /** When to try again, in milliseconds. Undefined: the server did not say. */
  readonly retryAfterMs: number | undefined;
  /** The field of the request that was wrong. */
  readonly field: string | undefined;
  readonly details: Readonly<Record<string, string>>;

  constructor({
    code = "ERROR_CODE_UNSPECIFIED",
    message = "refused",
    retryable,
    retryAfterMs,
    field,
    details,
  }: WireError) {
    super(message);
    this.code = code;
    this.retryable = retryable ?? false;
    this.retryAfterMs = retryAfterMs;
    this.field = field;
    this.details = details ?? {};
  }
}

/** Whether the same is refused however often it is asked for. */
export function isFinal(error: unknown): error is RefusedError {
  return error instanceof RefusedError && !error.retryable;
}

/** The connection went, or was not there, before the answer came: nobody knows whether it was done. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";
}

/** The client was closed. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

/** A change was given up before the server had answered it. */
export class GivenUpError extends Error {
  override readonly name = "GivenUpError";
  /** Its time was over; the application discarded it; or as much waits as may. */
  readonly reason: "expired" | "discarded" | "full";
  /** It was sent at least once, so that it may have been stored all the same. */
  readonly attempted: boolean;

  constructor(reason: GivenUpError["reason"], attempted: boolean) {
    super(`the change was given up: ${reason}`);
    this.reason = reason;
    this.attempted = attempted;
  }
}
