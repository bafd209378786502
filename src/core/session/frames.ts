// Server frames, made.

import { create } from "@bufbuild/protobuf";
import { ErrorSchema, type Error as WireError } from "../../gen/trunkline/v1/error_pb.js";
import { DoneSchema, type ServerFrame, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { TrunklineError } from "../../ports/error.js";

export function serverFrame(frame: ServerFrame["frame"], replyTo = 0): ServerFrame {
  return create(ServerFrameSchema, { replyTo, frame });
}

/** The answer to what has nothing to tell. */
export function done(): ServerFrame["frame"] {
  return { case: "done", value: create(DoneSchema) };
}

/** The longest time that a field of milliseconds can say: 49 days. */
const LONGEST_MS = 2 ** 32 - 1;

/** A time from now as fields say it: whole milliseconds, not sooner. What is farther than they reach is said as that far. */
export function wireMs(milliseconds: number): number {
  return Math.min(Math.max(Math.ceil(milliseconds), 0), LONGEST_MS);
}

export function wireError(error: TrunklineError, details: Readonly<Record<string, string>> = {}): WireError {
  return create(ErrorSchema, {
    code: error.code,
    message: error.message,
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs === undefined ? undefined : wireMs(error.retryAfterMs),
    field: error.field,
    details: { ...error.details, ...details },
  });
}
