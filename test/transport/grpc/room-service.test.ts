// Unary calls: authentication, answers, refusals, deadlines, and handlers that go wrong.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { DeliveryService } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { GetRoomRequestSchema, GetRoomResponseSchema, RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { fromStatus } from "../../../src/transport/grpc/status.js";
import { bearer, callUnary, failure, useGrpcServer } from "./use-grpc-server.js";

const { getRoom } = serviceDefinition(RoomService);
const request = create(GetRoomRequestSchema, { roomId: "lobby" });

it("hands a call to the core as the token's caller and answers with its response", async () => {
  const { client, core } = await useGrpcServer();
  core.answer = async () => ({ case: "getRoom", value: create(GetRoomResponseSchema, { room: { roomId: "lobby" } }) });
  const response = await callUnary(client(), getRoom, request, { token: "good-ann" });
  expect(response.room?.roomId).toBe("lobby");
  expect(core.calls).toMatchObject([
    { caller: { identity: { userId: "ann" } }, request: { case: "getRoom", value: { roomId: "lobby" } } },
  ]);
});

it("serves every method that a session can call", async () => {
  const { client, core } = await useGrpcServer();
  const connection = client();
  for (const { name } of RoomService.methods) {
    const method = { ...getRoom, path: `/${RoomService.typeName}/${name}` };
    await failure(callUnary(connection, method, new Uint8Array(), { token: "good-ann" }));
  }
  expect(core.calls.map(({ request }) => request.case)).toEqual(RoomService.methods.map((method) => method.localName));
});

it("refuses a call without a token, and one whose token does not verify", async () => {
  const { client, core } = await useGrpcServer();
  for (const token of [undefined, "forged"]) {
    const error = await failure(callUnary(client(), getRoom, request, token === undefined ? {} : { token }));
    expect(error.code).toBe(status.UNAUTHENTICATED);
    expect(fromStatus(error).code).toBe(ErrorCode.UNAUTHENTICATED);
  }
  expect(core.calls).toEqual([]);
});

it("tells the core's refusal with its details, and telemetry with its cause", async () => {
  const { client, core, refused } = await useGrpcServer();
  const cause = new Error("socket closed");
  const sent = new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is away", { retryAfterMs: 750, cause });
  core.answer = () => Promise.reject(sent);
  const error = await failure(callUnary(client(), getRoom, request, { token: "good-ann" }));
  expect(error.code).toBe(status.UNAVAILABLE);
  expect(fromStatus(error)).toMatchObject({
    code: ErrorCode.UNAVAILABLE,
    message: "the archive is away",
    retryAfterMs: 750,
  });
  expect(refused).toMatchObject([{ operation: "RoomService.getRoom", code: ErrorCode.UNAVAILABLE, cause }]);
});

it.each([
  ["rejects", () => Promise.reject(new Error("secret"))],
  [
    "throws",
    () => {
      throw new Error("secret");
    },
  ],
])("answers INTERNAL and stays up when a handler %s, and keeps the cause to itself", async (_, answer) => {
  const { client, core, faults } = await useGrpcServer();
  core.answer = answer;
  const error = await failure(callUnary(client(), getRoom, request, { token: "good-ann" }));
  expect(error.code).toBe(status.INTERNAL);
  expect(JSON.stringify([error.details, error.metadata.toHttp2Headers()])).not.toContain("secret");
  expect(faults).toMatchObject([{ where: "RoomService.getRoom", cause: { message: "secret" } }]);
  await failure(callUnary(client(), getRoom, request, { token: "good-ann" }));
});

it("refuses bytes that are no request as INVALID_ARGUMENT", async () => {
  const { client, core } = await useGrpcServer();
  const error = await failure(callUnary(client(), getRoom, Buffer.alloc(64, 0xff), { token: "good-ann" }));
  expect(fromStatus(error).code).toBe(ErrorCode.INVALID_ARGUMENT);
  expect(core.calls).toEqual([]);
});

it("ends a call at the caller's deadline and does not begin what nobody waits for", async () => {
  const { client, core } = await useGrpcServer();
  let verified = (): void => {};
  const authenticate = core.authenticate.bind(core);
  core.authenticate = async (token) => {
    await new Promise<void>((resolve) => {
      verified = resolve;
    });
    return authenticate(token);
  };
  // Told to the server alone, so that the answer is the server's.
  const call = callUnary(client(), getRoom, request, { token: "good-ann", headers: { "grpc-timeout": "50m" } });
  expect((await failure(call)).code).toBe(status.DEADLINE_EXCEEDED);
  verified();
  // A whole further call has come and gone when this one is answered.
  core.authenticate = authenticate;
  await failure(callUnary(client(), getRoom, request, { token: "good-bob" }));
  expect(core.calls.map(({ caller }) => caller.identity.userId)).toEqual(["bob"]);
});

it("ends a call without a deadline after 30 seconds", async () => {
  const { client, core, clock } = await useGrpcServer();
  let begun = (): void => {};
  const beginning = new Promise<void>((resolve) => {
    begun = resolve;
  });
  core.answer = () => {
    begun();
    return new Promise(() => {});
  };
  const call = failure(callUnary(client(), getRoom, request, { token: "good-ann" }));
  await beginning;
  clock.advance(30_000);
  expect(fromStatus(await call).code).toBe(ErrorCode.DEADLINE);
});

it("answers methods that are not built with UNSUPPORTED, streams too", async () => {
  const { client } = await useGrpcServer();
  const { sendToRoom, tail } = serviceDefinition(DeliveryService);
  const error = await failure(callUnary(client(), sendToRoom, new Uint8Array()));
  expect(fromStatus(error)).toMatchObject({ code: ErrorCode.UNSUPPORTED });
  const stream = client().makeServerStreamRequest(
    tail.path,
    tail.requestSerialize,
    tail.responseDeserialize,
    new Uint8Array(),
    bearer(undefined),
  );
  const ended = await new Promise<Error>((resolve) => stream.on("error", resolve).resume());
  expect(ended).toMatchObject({ code: status.UNIMPLEMENTED });
});
