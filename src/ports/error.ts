// The one error class. Every refusal a peer may see is a TrunklineError; anything else becomes INTERNAL at the door.

import { ErrorCode } from "../gen/trunkline/v1/error_pb.js";

export { ErrorCode };

export interface ErrorOptions {
  /** When a retry makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** The path of the offending field, e.g. `publish.body.text`. */
  readonly field?: string;
  /** Further facts for the peer, by name. */
  readonly details?: Readonly<Record<string, string>>;
  /** What went wrong underneath: for the log, never for the peer. */
  readonly cause?: unknown;
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.RATE_LIMITED,
  ErrorCode.LIMIT_EXCEEDED,
  ErrorCode.UNAVAILABLE,
  ErrorCode.DEADLINE,
  ErrorCode.INTERNAL,
]);

/** A refusal with a closed code and a message that is safe to show the peer. */
export class TrunklineError extends Error {
  override readonly name = "TrunklineError";
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly field: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.field = options.field ?? "";
    this.details = options.details ?? {};
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }

  /** The error itself, or INTERNAL with the original kept as cause for the log. */
  static from(error: unknown): TrunklineError {
    if (error instanceof TrunklineError) return error;
    return new TrunklineError(ErrorCode.INTERNAL, "internal error", { cause: error });
  }

  /** INVALID_ARGUMENT that names the field and the reason. */
  static invalid(field: string, reason: string): TrunklineError {
    return new TrunklineError(ErrorCode.INVALID_ARGUMENT, `${field}: ${reason}`, { field });
  }

  /** TOO_LARGE that names the field and the limit. */
  static tooLarge(field: string, limit: number, unit = "bytes"): TrunklineError {
    return new TrunklineError(ErrorCode.TOO_LARGE, `${field}: at most ${limit} ${unit}`, {
      field,
      details: { limit: String(limit) },
    });
  }
}
