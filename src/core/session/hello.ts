// The first frame and its answer.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { Limits } from "../limit/limits.js";
import { utf8Length, validateId, validateName } from "../validate.js";

const PROTOCOL = 1;
const MAX_APP_VERSION_BYTES = 64;

/** Throws unless the hello can be answered, whoever says it. */
export function validateHello(hello: wire.Hello, limits: Limits): void {
  if (hello.protocol !== PROTOCOL) {
    throw new TrunklineError(ErrorCode.UNSUPPORTED, `hello.protocol: this server speaks ${PROTOCOL}`, {
      field: "hello.protocol",
    });
  }
  validateId("hello.device.device_id", hello.device?.deviceId ?? "");
  validateName("hello.device.name", hello.device?.name ?? "");
  if (utf8Length(hello.device?.appVersion ?? "") > MAX_APP_VERSION_BYTES) {
    throw TrunklineError.tooLarge("hello.device.app_version", MAX_APP_VERSION_BYTES);
  }
  if (hello.rooms.length > limits.maxRoomsPerSession) {
    throw TrunklineError.tooLarge("hello.rooms", limits.maxRoomsPerSession, "rooms");
  }
}

/** What a connection ends with when its hello is refused. */
export function closeCodeOf({ code }: TrunklineError): CloseCode {
  switch (code) {
    case ErrorCode.UNAUTHENTICATED:
      return CloseCode.UNAUTHENTICATED;
    case ErrorCode.TOKEN_EXPIRED:
      return CloseCode.TOKEN_EXPIRED;
    case ErrorCode.CONFLICT:
      return CloseCode.REPLACED;
    case ErrorCode.UNSUPPORTED:
      return CloseCode.UNSUPPORTED_PROTOCOL;
    case ErrorCode.LIMIT_EXCEEDED:
      return CloseCode.TOO_MANY_SESSIONS;
    case ErrorCode.RATE_LIMITED:
      return CloseCode.OVERLOADED;
    case ErrorCode.UNAVAILABLE:
    case ErrorCode.DEADLINE:
    case ErrorCode.INTERNAL:
      return CloseCode.UNAVAILABLE;
    default:
      return CloseCode.PROTOCOL_ERROR;
  }
}

export function welcome(
  sessionId: string,
  identity: Identity,
  inboxRoomId: string,
  roomsPending: number,
  nowMs: number,
  limits: Limits,
): wire.Welcome {
  return create(wire.WelcomeSchema, {
    sessionId,
    userId: identity.userId,
    tenantId: identity.tenantId,
    displayName: identity.displayName,
    serverTime: timestampFromMs(nowMs),
    limits: {
      maxFrameBytes: limits.maxFrameBytes,
      maxTextBytes: limits.maxTextBytes,
      maxInFlight: limits.maxInFlight,
      maxRooms: limits.maxRoomsPerSession,
      recoveryLimit: limits.recoveryLimit,
    },
    pingIntervalMs: limits.pingIntervalMs,
    tokenExpiresAt: identity.expiresAtMs === undefined ? undefined : timestampFromMs(identity.expiresAtMs),
    roomsPending,
    inboxRoomId,
  });
}
