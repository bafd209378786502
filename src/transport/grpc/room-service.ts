// RoomService over gRPC: every method of the service, by its name, through the one door that frames use too.

import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Core } from "../../core/core.js";
import type { RoomRequest } from "../../core/room/calls.js";
import { RoomService } from "../../gen/trunkline/v1/room_pb.js";
import { CallSchema } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { bearerToken, type HandlerContext, type UnaryCall, unary } from "./handler.js";

export function roomService(
  core: Pick<Core, "authenticate" | "rooms">,
  context: HandlerContext,
): UntypedServiceImplementation {
  const methods: UntypedServiceImplementation = {};
  for (const { localName } of RoomService.methods) {
    const handle = async (message: unknown, call: UnaryCall) => {
      const caller = await core.authenticate(requireToken(call));
      const request = { case: localName, value: message };
      if (!isRoomRequest(request)) throw new TrunklineError(ErrorCode.UNSUPPORTED, `${localName} is not implemented`);
      // Verifying may have taken as long as the caller was willing to wait: then nothing must happen any more.
      call.throwIfOver();
      const response = await core.rooms.call(caller, request);
      return response.value;
    };
    methods[localName] = unary(context, `RoomService.${localName}`, handle);
  }
  return methods;
}

function requireToken(call: UnaryCall): string {
  const token = bearerToken(call.metadata);
  if (token !== undefined) return token;
  throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "send the metadata `authorization: Bearer <token>`");
}

/** A request decoded by the method's own schema is one of `Call` if `Call` has a field of the method's name. */
function isRoomRequest(request: { readonly case: string; readonly value: unknown }): request is RoomRequest {
  return Object.hasOwn(CallSchema.field, request.case);
}
