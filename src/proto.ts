// The contract as TypeScript, for `trunkline/proto`: messages, enums and services, to build requests and to read answers with.

export { create, fromBinary, toBinary } from "@bufbuild/protobuf";
export * from "./gen/trunkline/v1/auth_pb.js";
export * from "./gen/trunkline/v1/delivery_pb.js";
export * from "./gen/trunkline/v1/error_pb.js";
export * from "./gen/trunkline/v1/hook_pb.js";
export * from "./gen/trunkline/v1/inbound_pb.js";
export * from "./gen/trunkline/v1/message_pb.js";
export * from "./gen/trunkline/v1/outlet_pb.js";
export * from "./gen/trunkline/v1/presence_pb.js";
export * from "./gen/trunkline/v1/room_pb.js";
export * from "./gen/trunkline/v1/session_pb.js";
