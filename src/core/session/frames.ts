// Server frames, made.

import { create } from "@bufbuild/protobuf";
import { ErrorSchema, type Error as WireError } from "../../gen/trunkline/v1/error_pb.js";
import { type ServerFrame, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { TrunklineError } from "../../ports/error.js";

export function serverFrame(frame: ServerFrame["frame"], replyTo = 0): ServerFrame {
  return create(ServerFrameSchema, { replyTo, frame });
}

export function wireError(error: TrunklineError, details: Readonly<Record<string, string>> = {}): WireError {
  return create(ErrorSchema, {
    code: error.code,
    message: error.message,
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs),
    field: error.field,
    details: { ...error.details, ...details },
  });
}
