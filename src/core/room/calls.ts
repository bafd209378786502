// RoomService without a transport: one door for frames (`Call`), gRPC and Connect.

import type { Body, Origin } from "../../gen/trunkline/v1/message_pb.js";
import type { Call, CallResult, MessageRef } from "../../gen/trunkline/v1/session_pb.js";
import type { Identity } from "../../ports/token-verifier.js";

/** Who asks: a verified identity, and the device where known. */
export interface Caller {
  readonly identity: Identity;
  readonly deviceId: string;
  /** The user a service acts for; absent: nobody but itself. */
  readonly onBehalfOf?: string;
}

/** The request of a RoomService method: `case` is the method's local name, e.g. "createRoom". */
export type RoomRequest = Exclude<Call["rpc"], { case: undefined }>;
/** The response, of the same case. */
export type RoomResponse = Exclude<CallResult["rpc"], { case: undefined }>;

export interface RoomCalls {
  /**
   * Resolves with the response of the same case; rejects with a TrunklineError. UNSUPPORTED for methods not built yet. `signal` and
   * `timeoutMs` as of ServiceCalls.
   */
  call(caller: Caller, request: RoomRequest, signal?: AbortSignal, timeoutMs?: number): Promise<RoomResponse>;
}

export interface Forwarding {
  /** What a message that is passed on says, and whose it is; rejects unless the caller may read it. */
  forwarded(caller: Caller, message: MessageRef): Promise<{ readonly body: Body; readonly forwardedFrom: Origin }>;
}
