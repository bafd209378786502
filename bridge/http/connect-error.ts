// Refusals as Connect tells them: a Connect code, and details that carry the code of ours.

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { ErrorSchema } from "../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, type TrunklineError } from "../../src/ports/error.js";
import { retryAfterSeconds } from "./reply.js";

/** As the contract states beside each code. */
const CODES: Readonly<Record<ErrorCode, Code>> = {
  [ErrorCode.UNSPECIFIED]: Code.Unknown,
  [ErrorCode.UNAUTHENTICATED]: Code.Unauthenticated,
  [ErrorCode.TOKEN_EXPIRED]: Code.Unauthenticated,
  [ErrorCode.PERMISSION_DENIED]: Code.PermissionDenied,
  [ErrorCode.NOT_A_MEMBER]: Code.PermissionDenied,
  [ErrorCode.BLOCKED]: Code.PermissionDenied,
  [ErrorCode.NOT_FOUND]: Code.NotFound,
  [ErrorCode.ALREADY_EXISTS]: Code.AlreadyExists,
  [ErrorCode.INVALID_ARGUMENT]: Code.InvalidArgument,
  [ErrorCode.TOO_LARGE]: Code.InvalidArgument,
  [ErrorCode.CONFLICT]: Code.Aborted,
  [ErrorCode.RATE_LIMITED]: Code.ResourceExhausted,
  [ErrorCode.LIMIT_EXCEEDED]: Code.ResourceExhausted,
  [ErrorCode.UNAVAILABLE]: Code.Unavailable,
  [ErrorCode.DEADLINE]: Code.DeadlineExceeded,
  [ErrorCode.UNSUPPORTED]: Code.Unimplemented,
  [ErrorCode.INTERNAL]: Code.Internal,
};

/** The error with `google.rpc.ErrorInfo`, `trunkline.v1.Error` and, where known, `google.rpc.RetryInfo` as details. */
export function connectErrorOf(error: TrunklineError): ConnectError {
  const { code, message, retryable, retryAfterMs, field, details } = error;
  const metadata = { ...details, ...(field === "" ? {} : { field }) };
  return new ConnectError(
    message,
    CODES[code],
    retryAfterMs === undefined ? undefined : { "retry-after": retryAfterSeconds(retryAfterMs) },
    [
      { desc: ErrorInfoSchema, value: { domain: "trunkline", reason: ErrorCode[code], metadata } },
      {
        desc: ErrorSchema,
        value: { code, message, retryable, field, details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
      },
      ...(retryAfterMs === undefined
        ? []
        : [{ desc: RetryInfoSchema, value: { retryDelay: durationOf(retryAfterMs) } }]),
    ],
    error.cause,
  );
}

function durationOf(milliseconds: number): { readonly seconds: bigint; readonly nanos: number } {
  return {
    seconds: BigInt(Math.floor(milliseconds / 1000)),
    nanos: Math.floor((milliseconds % 1000) * 1_000_000),
  };
}
