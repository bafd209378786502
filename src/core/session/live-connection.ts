// A connection as its live session uses it.

import type { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { TrunklineError } from "../../ports/error.js";
import type { SharedFrame } from "../fanout/shared-frame.js";
import type { Outbox } from "./outbox.js";
import type { ServerFrame, SessionSink } from "./port.js";

export interface LiveConnection {
  readonly outbox: Outbox;
  /** The wire that it shares with others, if it does. */
  readonly shared: SessionSink["shared"];
  send(frame: ServerFrame["frame"], replyTo?: number): void;
  /** In the encoding of the connection's wire. */
  encode(frame: ServerFrame): Uint8Array;
  encodeShared(frame: SharedFrame): Uint8Array;
  /** Error: overtakes what waits. */
  refuse(ref: number, operation: string, error: TrunklineError): void;
  close(code: CloseCode, reason: string, error?: TrunklineError, reconnectAfterMs?: number): void;
  /** The session's deadlines have changed. */
  reschedule(): void;
  /** Nothing that was asked waits for an answer any more. */
  answered(): void;
}
