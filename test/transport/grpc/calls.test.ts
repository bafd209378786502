// Calls: authentication, answers, refusals, deadlines, streams, and handlers that go wrong.

import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type Client, type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { DeliveryService, type TailResponse, TailResponseSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { PresenceService } from "../../../src/gen/trunkline/v1/presence_pb.js";
import { GetRoomRequestSchema, GetRoomResponseSchema, RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { fromStatus } from "../../../src/rpc/status.js";
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

it("serves PresenceService, its stream too", async () => {
  const { client } = await useGrpcServer();
  const { getPresence, watchPresence } = serviceDefinition(PresenceService);
  const connection = client();
  const answer = await callUnary(connection, getPresence, new Uint8Array(), { token: "good-ann" });
  expect(answer.presences).toEqual([]);
  const { path, requestSerialize, responseDeserialize } = watchPresence;
  const token = bearer("good-ann");
  const stream = connection.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Uint8Array(),
    token,
  );
  const error = await new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  expect(fromStatus(error)).toMatchObject({ code: ErrorCode.UNSUPPORTED });
});

describe("a server stream", () => {
  const { tail } = serviceDefinition(DeliveryService);
  const open = (client: Client, token: string | undefined, bytes: Uint8Array = new Uint8Array()) =>
    client.makeServerStreamRequest(tail.path, tail.requestSerialize, tail.responseDeserialize, bytes, bearer(token));
  const ending = (stream: ClientReadableStream<TailResponse>) =>
    new Promise<ServiceError | "ended">((resolve) => stream.on("error", resolve).on("end", () => resolve("ended")));
  const response = (cursor: string) => create(TailResponseSchema, { cursor });

  it("writes what the core yields, as the token's caller, and ends with it", async () => {
    const { client, core } = await useGrpcServer();
    core.tail = async function* () {
      yield response("a");
      yield response("b");
    };
    const stream = open(client(), "good-ann");
    const cursors: string[] = [];
    stream.on("data", ({ cursor }: TailResponse) => cursors.push(cursor));
    expect(await ending(stream)).toBe("ended");
    expect(cursors).toEqual(["a", "b"]);
    expect(core.delivered).toMatchObject([{ caller: { identity: { userId: "ann" } }, method: "tail" }]);
  });

  it("is refused with the core's code, without a token and where the request is no protobuf", async () => {
    const { client, core } = await useGrpcServer();
    core.tail = () => {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many");
    };
    const codeOf = async (stream: ClientReadableStream<TailResponse>) => {
      const end = await ending(stream.on("data", () => {}));
      return end === "ended" ? end : fromStatus(end).code;
    };
    expect(await codeOf(open(client(), "good-ann"))).toBe(ErrorCode.LIMIT_EXCEEDED);
    expect(await codeOf(open(client(), undefined))).toBe(ErrorCode.UNAUTHENTICATED);
    expect(await codeOf(open(client(), "good-ann", Buffer.alloc(9, 0xff)))).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("is pulled no faster than its peer reads", async () => {
    const { client, core } = await useGrpcServer();
    const size = 64 * 1_024;
    let yielded = 0;
    core.tail = async function* () {
      for (; yielded < 400; yielded++) yield response("x".repeat(size));
    };
    const stream = open(client(), "good-ann");
    const end = ending(stream);
    stream.pause();
    // Whole calls come and go while nothing is read.
    for (let n = 0; n < 20 || yielded === 0; n++)
      await failure(callUnary(client(), getRoom, request, { token: "good-bob" }));
    expect(yielded).toBeLessThan(200);
    let count = 0;
    stream.on("data", () => {
      count++;
    });
    stream.resume();
    expect(await end).toBe("ended");
    expect(count).toBe(400);
  });

  it("tells the core when its peer has gone, and when the server leaves", async () => {
    const { client, core, server } = await useGrpcServer();
    const signals: AbortSignal[] = [];
    core.tail = async function* (signal) {
      signals.push(signal);
      yield response("a");
      await once(signal, "abort");
    };
    const cancelled = open(client(), "good-ann");
    const cut = ending(cancelled);
    await once(cancelled, "data");
    cancelled.cancel();
    expect(await cut).toMatchObject({ code: status.CANCELLED });
    const staying = open(client(), "good-ann");
    const left = ending(staying);
    await once(staying, "data");
    const closed = server.close(5_000);
    expect(await left).toMatchObject({ code: status.UNAVAILABLE });
    await closed;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});
