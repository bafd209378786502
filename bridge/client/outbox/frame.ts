// The frames of changes: each carries its key and the number of its attempt, a call in the request of its method.

import { RefusedError } from "../error.js";
import type { ClientFrame, ServerFrame } from "../gen/types.js";

/** What a frame takes unless the server has said otherwise, in bytes. */
const MAX_FRAME_BYTES = 65_536;
/** For the numbers that a frame is given when it is sent. */
const NUMBERS_BYTES = 64;

/** The frame for the attempt, from 1. */
export function attemptOf(frame: ClientFrame, attempt: number): ClientFrame {
  const [kind = "", value] = Object.entries(frame)[0] ?? [];
  return { [kind]: kind === "call" ? attemptOf(value, attempt) : { ...value, attempt } };
}

/** What answers it. */
export function answerOf({ published, changed, callResult }: ServerFrame): unknown {
  return published ?? changed ?? callResult ?? {};
}

/**
 * Why the frame cannot be sent. One that is too long would end the connection, each time.
 * @param measure Its bytes; throws where it cannot be encoded.
 */
export function faultOf(
  frame: ClientFrame,
  measure: (frame: ClientFrame) => number,
  maxFrameBytes = MAX_FRAME_BYTES,
): { readonly bytes: number; readonly fault: RefusedError | undefined } {
  let bytes = 0;
  try {
    bytes = measure(frame) + NUMBERS_BYTES;
  } catch (error) {
    return { bytes, fault: new RefusedError({ code: "ERROR_CODE_INVALID_ARGUMENT", message: String(error) }) };
  }
  if (bytes <= maxFrameBytes) return { bytes, fault: undefined };
  const details = { limit: String(maxFrameBytes) };
  return { bytes, fault: new RefusedError({ code: "ERROR_CODE_TOO_LARGE", message: "too long", details }) };
}
