// The end of a server: orderly where clients allow it, in time where they do not.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { GetRoomRequestSchema, GetRoomResponseSchema, RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { ClientStream, callUnary, failure, useGrpcServer } from "./use-grpc-server.js";

const { getRoom } = serviceDefinition(RoomService);
const request = create(GetRoomRequestSchema, { roomId: "lobby" });

it("ends the streams that are left and tells their sessions", async () => {
  const { server, core, client } = await useGrpcServer();
  const stream = new ClientStream(client());
  const connection = await core.sessions.connection();
  await server.close(10_000);
  expect((await stream.status).code).toBe(status.UNAVAILABLE);
  expect(connection.clean).toBe(false);
  expect(server.connections).toBe(0);
});

it("leaves a stream alone that its session has ended", async () => {
  const { server, core, client } = await useGrpcServer();
  const stream = new ClientStream(client());
  (await core.sessions.connection()).sink.end(CloseCode.GOING_AWAY, "drained");
  await server.close(10_000);
  expect((await stream.status).code).toBe(status.OK);
});

it("lets a call that has begun finish", async () => {
  const { server, core, client } = await useGrpcServer();
  let closed: Promise<void> | undefined;
  core.answer = async () => {
    closed = server.close(10_000);
    return { case: "getRoom", value: create(GetRoomResponseSchema, { room: { roomId: "lobby" } }) };
  };
  const response = await callUnary(client(), getRoom, request, { token: "good-ann" });
  expect(response.room?.roomId).toBe("lobby");
  await closed;
});

it("gives a call that does not finish up at the deadline", async () => {
  const { server, core, client, clock } = await useGrpcServer();
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
  const closed = server.close(5_000);
  clock.advance(5_000);
  await closed;
  expect([status.UNAVAILABLE, status.CANCELLED]).toContain((await call).code);
  expect(server.connections).toBe(0);
});

it("can be closed twice, and its port is free after", async () => {
  const { server } = await useGrpcServer();
  await Promise.all([server.close(0), server.close(0)]);
  await expect(useGrpcServer({ port: server.port })).resolves.toBeDefined();
});

it("rejects when the address is taken", async () => {
  const { server } = await useGrpcServer();
  await expect(useGrpcServer({ port: server.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
