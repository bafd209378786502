// The door for backend services: `import { createServiceClient } from "trunkline/service"`.
//
//   const trunkline = createServiceClient({ address: "127.0.0.1:9090", token: process.env.TRUNKLINE_TOKEN });
//   await trunkline.sendToRoom({ roomId: "lobby", body: { kind: { case: "text", value: "hello" } } });
//   for await (const { roomId, events, cursor } of trunkline.tail()) …

export type {
  DeleteMessageResponse,
  EditMessageResponse,
  GetDeliveryStatusResponse,
  SendToRoomResponse,
  SendToUserResult,
  SendToUsersResponse,
  TailResponse,
} from "../gen/trunkline/v1/delivery_pb.js";
export type { Body, RoomEvent } from "../gen/trunkline/v1/message_pb.js";
export { ErrorCode, TrunklineError } from "../ports/error.js";
export { type Change, createServiceClient, type ServiceClient } from "./client.js";
export type { ServiceClientOptions, TailOptions } from "./options.js";
