// The one mapper between our errors and gRPC statuses: code, message, and details in the `grpc-status-details-bin` trailer.

import { create, type DescEnum, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";
import { CloseCode, CloseCodeSchema, ErrorCodeSchema } from "../gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";

/** `ErrorInfo.domain` of every refusal that is ours. */
export const ERROR_DOMAIN = "trunkline";
/** Where gRPC carries a `google.rpc.Status`. */
export const DETAILS_TRAILER = "grpc-status-details-bin";

/** Characters of a message that travel. Trailers share the peer's header limit, often 8 KiB, and carry the message twice. */
const MAX_MESSAGE_LENGTH = 512;

// As stated per code in error.proto.
const STATUS_OF_CODE: Readonly<Record<ErrorCode, status>> = {
  [ErrorCode.UNSPECIFIED]: status.UNKNOWN,
  [ErrorCode.UNAUTHENTICATED]: status.UNAUTHENTICATED,
  [ErrorCode.TOKEN_EXPIRED]: status.UNAUTHENTICATED,
  [ErrorCode.PERMISSION_DENIED]: status.PERMISSION_DENIED,
  [ErrorCode.NOT_A_MEMBER]: status.PERMISSION_DENIED,
  [ErrorCode.BLOCKED]: status.PERMISSION_DENIED,
  [ErrorCode.NOT_FOUND]: status.NOT_FOUND,
  [ErrorCode.ALREADY_EXISTS]: status.ALREADY_EXISTS,
  [ErrorCode.INVALID_ARGUMENT]: status.INVALID_ARGUMENT,
  [ErrorCode.TOO_LARGE]: status.INVALID_ARGUMENT,
  [ErrorCode.CONFLICT]: status.ABORTED,
  [ErrorCode.RATE_LIMITED]: status.RESOURCE_EXHAUSTED,
  [ErrorCode.LIMIT_EXCEEDED]: status.RESOURCE_EXHAUSTED,
  [ErrorCode.UNAVAILABLE]: status.UNAVAILABLE,
  [ErrorCode.DEADLINE]: status.DEADLINE_EXCEEDED,
  [ErrorCode.UNSUPPORTED]: status.UNIMPLEMENTED,
  [ErrorCode.INTERNAL]: status.INTERNAL,
};

// For statuses without our details: from a proxy, from grpc-js itself, from another implementation of a service.
const CODE_OF_STATUS: ReadonlyMap<status, ErrorCode> = new Map([
  [status.CANCELLED, ErrorCode.UNAVAILABLE],
  [status.INVALID_ARGUMENT, ErrorCode.INVALID_ARGUMENT],
  [status.OUT_OF_RANGE, ErrorCode.INVALID_ARGUMENT],
  [status.FAILED_PRECONDITION, ErrorCode.CONFLICT],
  [status.ABORTED, ErrorCode.CONFLICT],
  [status.DEADLINE_EXCEEDED, ErrorCode.DEADLINE],
  [status.NOT_FOUND, ErrorCode.NOT_FOUND],
  [status.ALREADY_EXISTS, ErrorCode.ALREADY_EXISTS],
  [status.PERMISSION_DENIED, ErrorCode.PERMISSION_DENIED],
  [status.UNAUTHENTICATED, ErrorCode.UNAUTHENTICATED],
  [status.RESOURCE_EXHAUSTED, ErrorCode.LIMIT_EXCEEDED],
  [status.UNIMPLEMENTED, ErrorCode.UNSUPPORTED],
  [status.UNAVAILABLE, ErrorCode.UNAVAILABLE],
]);

// What a session's end means as an error. Those that are missing are no error.
const CODE_OF_CLOSE: ReadonlyMap<CloseCode, ErrorCode> = new Map([
  [CloseCode.HEARTBEAT_LOST, ErrorCode.UNAVAILABLE],
  [CloseCode.SLOW_CONSUMER, ErrorCode.LIMIT_EXCEEDED],
  [CloseCode.OVERLOADED, ErrorCode.UNAVAILABLE],
  [CloseCode.UNAVAILABLE, ErrorCode.UNAVAILABLE],
  [CloseCode.TOKEN_EXPIRED, ErrorCode.TOKEN_EXPIRED],
  [CloseCode.UNAUTHENTICATED, ErrorCode.UNAUTHENTICATED],
  [CloseCode.REPLACED, ErrorCode.CONFLICT],
  [CloseCode.KICKED, ErrorCode.PERMISSION_DENIED],
  [CloseCode.REVOKED, ErrorCode.UNAUTHENTICATED],
  [CloseCode.PROTOCOL_ERROR, ErrorCode.INVALID_ARGUMENT],
  [CloseCode.TOO_MANY_SESSIONS, ErrorCode.LIMIT_EXCEEDED],
  [CloseCode.UNSUPPORTED_PROTOCOL, ErrorCode.UNSUPPORTED],
]);

/** The status that ends a call with this error. Its cause stays here. */
export function toStatus(error: TrunklineError): StatusObject {
  const code = STATUS_OF_CODE[error.code];
  // An unpaired surrogate would make grpc-js throw where it percent-encodes the message.
  const details = error.message.slice(0, MAX_MESSAGE_LENGTH).toWellFormed();
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(toBinary(StatusSchema, richStatus(error, code, details))));
  return { code, details, metadata };
}

/** The status that ends a session's stream. Undefined: it ended well. */
export function closeStatus(code: CloseCode, reason: string, retryAfterMs?: number): StatusObject | undefined {
  const errorCode = CODE_OF_CLOSE.get(code);
  if (errorCode === undefined) return undefined;
  const details = { close_code: String(code), close_reason: enumName(CloseCodeSchema, code) };
  return toStatus(
    new TrunklineError(errorCode, reason, { details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }),
  );
}

/** The error that a failed call stands for: exactly the one that was sent where the server is ours, else the nearest. */
export function fromStatus(failure: Partial<StatusObject> & { readonly message?: string }): TrunklineError {
  const rich = readDetails(failure.metadata);
  const message = rich?.message ?? failure.details ?? failure.message ?? "";
  const info = unpackFirst(rich, (any) => anyUnpack(any, ErrorInfoSchema));
  const retry = unpackFirst(rich, (any) => anyUnpack(any, RetryInfoSchema));
  const ours = info?.domain === ERROR_DOMAIN ? errorCodeNamed(info.reason) : undefined;
  const code = ours ?? CODE_OF_STATUS.get(failure.code ?? status.UNKNOWN) ?? ErrorCode.INTERNAL;
  const { field, ...details } = ours === undefined ? {} : (info?.metadata ?? {});
  return new TrunklineError(code, message, {
    ...(retry?.retryDelay === undefined ? {} : { retryAfterMs: toMs(retry.retryDelay) }),
    ...(field === undefined ? {} : { field }),
    details,
    cause: failure,
  });
}

function richStatus(error: TrunklineError, code: status, message: string): Status {
  const details = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, {
        reason: enumName(ErrorCodeSchema, error.code),
        domain: ERROR_DOMAIN,
        metadata: { ...error.details, ...(error.field === "" ? {} : { field: error.field }) },
      }),
    ),
  ];
  if (error.retryAfterMs !== undefined) {
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: toDuration(error.retryAfterMs) })));
  }
  if (error.field !== "") {
    const fieldViolations = [{ field: error.field, description: message }];
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  return create(StatusSchema, { code, message, details });
}

function readDetails(metadata: Metadata | undefined): Status | undefined {
  const bytes = metadata?.get(DETAILS_TRAILER)[0];
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return undefined;
  }
}

function unpackFirst<T>(rich: Status | undefined, unpack: (any: Status["details"][number]) => T | undefined) {
  for (const any of rich?.details ?? []) {
    const message = unpack(any);
    if (message !== undefined) return message;
  }
  return undefined;
}

/** The name as it stands in JSON, without the prefix: `NOT_FOUND`. */
function enumName(schema: DescEnum, number: number): string {
  return schema.value[number]?.localName ?? String(number);
}

function errorCodeNamed(name: string): ErrorCode | undefined {
  return ErrorCodeSchema.values.find((value) => value.localName === name)?.number;
}

function toDuration(ms: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round(ms % 1_000) * 1_000_000 });
}

function toMs(duration: Duration): number {
  return Number(duration.seconds) * 1_000 + Math.round(duration.nanos / 1_000_000);
}
