// RoomService by its methods, each through the one door that frames use too.

import type { RoomService } from "../../gen/trunkline/v1/room_pb.js";
import type { ServiceCalls } from "../service-calls.js";
import type { Caller, RoomCalls, RoomRequest, RoomResponse } from "./calls.js";

type RequestOf<Name extends RoomRequest["case"]> = Extract<RoomRequest, { case: Name }>["value"];
type ResponseOf<Name extends RoomRequest["case"]> = Extract<RoomResponse, { case: Name }>["value"];

export function roomCalls(rooms: RoomCalls): ServiceCalls<typeof RoomService> {
  const unary = <Name extends RoomRequest["case"]>(name: Name) => {
    return async (
      caller: Caller,
      value: RequestOf<Name>,
      signal?: AbortSignal,
      timeoutMs?: number,
    ): Promise<ResponseOf<Name>> => {
      // The compiler does not see that a case and its own value belong together when the case is a type parameter.
      const request = { case: name, value } as Extract<RoomRequest, { case: Name }>;
      const response = await rooms.call(caller, request, signal, timeoutMs);
      if (response.case !== name) throw new Error(`${name} was answered by ${response.case}`);
      return response.value as ResponseOf<Name>;
    };
  };
  return {
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
    listBlockedUsers: unary("listBlockedUsers"),
    listDevices: unary("listDevices"),
    closeDevice: unary("closeDevice"),
    getSettings: unary("getSettings"),
    setSettings: unary("setSettings"),
  };
}
