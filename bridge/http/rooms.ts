// RoomService over HTTP/1.1: Connect, gRPC-Web and plain JSON.

import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Core } from "../../src/core/core.js";
import type { RoomRequest, RoomResponse } from "../../src/core/room/calls.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import { RoomService } from "../../src/gen/trunkline/v1/room_pb.js";
import type { Clock } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { connectErrorOf } from "./connect-error.js";

export const ROOMS_PATH = `/${RoomService.typeName}/`;

/** The longest a call may take, also one that states no deadline, in milliseconds. */
const CALL_DEADLINE_MS = 30_000;

/** Room for a request's envelope around what a frame may carry, in bytes. */
const ENVELOPE_BYTES = 4 * 1024;

export interface RoomRouteDependencies {
  readonly core: Pick<Core, "rooms" | "authenticate">;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly maxFrameBytes: number;
}

type RequestOf<Name extends RoomRequest["case"]> = Extract<RoomRequest, { case: Name }>["value"];
type ResponseOf<Name extends RoomRequest["case"]> = Extract<RoomResponse, { case: Name }>["value"];

/** Handles requests below `ROOMS_PATH`. */
export function roomRoutes(
  dependencies: RoomRouteDependencies,
): (request: IncomingMessage, response: ServerResponse) => void {
  return connectNodeAdapter({
    routes: (router) => register(router, dependencies),
    // gRPC proper needs HTTP/2 trailers and has a port of its own.
    grpc: false,
    readMaxBytes: dependencies.maxFrameBytes + ENVELOPE_BYTES,
    maxTimeoutMs: CALL_DEADLINE_MS,
    acceptCompression: [],
  });
}

function register(router: ConnectRouter, dependencies: RoomRouteDependencies): void {
  const unary = <Name extends RoomRequest["case"]>(name: Name) => {
    return async (value: RequestOf<Name>, context: HandlerContext): Promise<ResponseOf<Name>> => {
      // The compiler does not see that a case and its own value belong together when the case is a type parameter.
      const request = { case: name, value } as Extract<RoomRequest, { case: Name }>;
      const response = await answer(request, context, dependencies);
      return response.value as ResponseOf<Name>;
    };
  };
  router.service(RoomService, {
    createRoom: unary("createRoom"),
    getRoom: unary("getRoom"),
    updateRoom: unary("updateRoom"),
    deleteRoom: unary("deleteRoom"),
    joinRoom: unary("joinRoom"),
    leaveRoom: unary("leaveRoom"),
    addMembers: unary("addMembers"),
    removeMember: unary("removeMember"),
    setMember: unary("setMember"),
    listMembers: unary("listMembers"),
    listRooms: unary("listRooms"),
    getHistory: unary("getHistory"),
    getEvents: unary("getEvents"),
    getReceipts: unary("getReceipts"),
    listMarkers: unary("listMarkers"),
    getReceiptPrivacy: unary("getReceiptPrivacy"),
    setReceiptPrivacy: unary("setReceiptPrivacy"),
    pinMessage: unary("pinMessage"),
    hideMessage: unary("hideMessage"),
    blockUser: unary("blockUser"),
    listDevices: unary("listDevices"),
    closeDevice: unary("closeDevice"),
    getSettings: unary("getSettings"),
    setSettings: unary("setSettings"),
  });
}

async function answer(
  request: RoomRequest,
  context: HandlerContext,
  { core, telemetry, clock }: RoomRouteDependencies,
): Promise<RoomResponse> {
  const deadline = Promise.withResolvers<never>();
  const timer = clock.after(CALL_DEADLINE_MS, () =>
    deadline.reject(new TrunklineError(ErrorCode.DEADLINE, "the call took too long")),
  );
  // The client has gone, or its own deadline has passed. The call itself goes on: it may have been stored already.
  const abort = () => deadline.reject(new ConnectError("the call was given up", Code.Canceled));
  context.signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([authenticateAndCall(request, context, core), deadline.promise]);
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    const error = TrunklineError.from(cause);
    if (error.code === ErrorCode.INTERNAL || error.code === ErrorCode.UNAVAILABLE) {
      const { code, message } = error;
      telemetry.emit("request.refused", { operation: request.case, code, message, cause: error.cause });
    }
    throw connectErrorOf(error);
  } finally {
    timer.cancel();
    context.signal.removeEventListener("abort", abort);
  }
}

async function authenticateAndCall(
  request: RoomRequest,
  context: HandlerContext,
  core: RoomRouteDependencies["core"],
): Promise<RoomResponse> {
  const token = /^Bearer +(\S+)$/i.exec(context.requestHeader.get("authorization") ?? "")?.[1];
  if (token === undefined) {
    throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the header `authorization: Bearer <token>` is missing");
  }
  const caller = await core.authenticate(token);
  const response = await core.rooms.call(caller, request);
  if (response.case !== request.case) throw new Error(`${request.case} was answered by ${response.case}`);
  return response;
}
