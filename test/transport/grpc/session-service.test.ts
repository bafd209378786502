// Session streams: frames both ways, back-pressure, and every way to end.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { BodySchema, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ClientFrameSchema, ServerFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { fromStatus } from "../../../src/rpc/status.js";
import { ClientStream, useGrpcServer } from "./use-grpc-server.js";

const pong = (id: number) => create(ServerFrameSchema, { frame: { case: "pong", value: { id } } });

async function useStream(token?: string, reading = true) {
  const under = await useGrpcServer();
  const stream = new ClientStream(under.client(), token, reading);
  const connection = await under.core.sessions.connection();
  return { ...under, stream, connection };
}

it("carries frames both ways, in order, with the token of the metadata", async () => {
  const { stream, connection } = await useStream("good-ann");
  expect(connection.origin).toMatchObject({
    transport: "grpc",
    token: "good-ann",
    address: expect.stringMatching(/^127\.0\.0\.1:/),
  });
  for (const ref of [1, 2, 3]) stream.send({ ref, frame: { case: "ping", value: { id: ref } } });
  await connection.until(({ frames }) => frames.length === 3);
  expect(connection.frames.map(({ ref }) => ref)).toEqual([1, 2, 3]);

  const { sink } = connection;
  expect(sink.write([sink.encoding.frame(pong(1)), sink.encoding.frame(pong(2))])).toBe(true);
  expect(await stream.received(2)).toMatchObject([{ frame: { value: { id: 1 } } }, { frame: { value: { id: 2 } } }]);
});

it("sends stored events as the bytes they were stored as", async () => {
  const { stream, connection } = await useStream();
  const event = create(RoomEventSchema, { eventId: "e1", position: { seq: 1, tag: 9 } });
  const { sink } = connection;
  sink.write([sink.encoding.roomEvents("lobby", [new EncodedEvent(1, 9, toBinary(RoomEventSchema, event))])]);
  expect(await stream.received(1)).toMatchObject([
    { frame: { case: "roomEvents", value: { roomId: "lobby", events: [{ eventId: "e1" }] } } },
  ]);
});

it("says that enough waits for a client that does not read, and says when it can take more", async () => {
  const { stream, connection, core, client } = await useStream(undefined, false);
  const { sink } = connection;
  const chunk = toBinary(
    ServerFrameSchema,
    create(ServerFrameSchema, { frame: { case: "error", value: { message: "x".repeat(64 * 1_024) } } }),
  );
  expect(sink.write(Array.from({ length: 128 }, () => chunk))).toBe(false);
  expect(sink.write([chunk])).toBe(false);
  // Another client comes and is served meanwhile.
  new ClientStream(client());
  await core.sessions.connection(1);
  expect(connection.drains).toBe(0);

  stream.read();
  await connection.until(({ drains }) => drains > 0);
  await stream.received(129);
  expect(connection.drains).toBe(1);
  expect(sink.write([chunk])).toBe(false);
});

it("takes sixteen small frames ahead and then says that enough waits", async () => {
  const { connection } = await useStream(undefined, false);
  const frame = connection.sink.encoding.frame(pong(1));
  let taken = 0;
  while (connection.sink.write([frame])) taken++;
  expect(taken).toBeLessThanOrEqual(16);
  await connection.until(({ drains }) => drains === 1);
});

it("tells the session of a client that closes its side, and delivers its answers until the session ends", async () => {
  const { stream, connection } = await useStream();
  stream.call.end();
  await connection.until(({ finished }) => finished);
  expect(connection.clean).toBeUndefined();
  expect(connection.sink.write([connection.sink.encoding.frame(pong(7))])).toBe(true);
  connection.sink.end(CloseCode.UNSPECIFIED, "finished by the client");
  expect((await stream.status).code).toBe(status.OK);
  expect(stream.frames).toMatchObject([{ frame: { value: { id: 7 } } }]);
});

it("tells the session that it is gone without a goodbye when the client cancels, and takes no more", async () => {
  const { stream, connection, server } = await useStream();
  stream.call.cancel();
  await connection.until(({ clean }) => clean !== undefined);
  expect(connection).toMatchObject({ clean: false, finished: false });
  expect(connection.sink.write([connection.sink.encoding.frame(pong(1))])).toBe(false);
  connection.sink.end(CloseCode.KICKED, "too late");
  expect(server.sessions).toBe(0);
});

it("ends with OK for a node that leaves, after what was written", async () => {
  const { stream, connection } = await useStream();
  connection.sink.write([connection.sink.encoding.frame(pong(1))]);
  connection.sink.end(CloseCode.GOING_AWAY, "the node leaves");
  expect((await stream.status).code).toBe(status.OK);
  expect(stream.frames).toHaveLength(1);
});

it("ends with the mapped status and the close code otherwise", async () => {
  const { stream, connection } = await useStream();
  connection.sink.end(CloseCode.REPLACED, "a newer session of the device");
  const ended = await stream.status;
  expect(ended).toMatchObject({ code: status.ABORTED, details: "a newer session of the device" });
  expect(fromStatus(ended)).toMatchObject({ code: ErrorCode.CONFLICT, details: { close_code: "4501" } });
});

it("resets an ended stream that the client does not read for 10 seconds", async () => {
  const { stream, connection, clock, server } = await useStream(undefined, false);
  connection.sink.write(Array.from({ length: 64 }, () => Buffer.alloc(64 * 1_024)));
  connection.sink.end(CloseCode.SLOW_CONSUMER, "too slow");
  clock.advance(10_000);
  await connection.until(({ clean }) => clean !== undefined);
  expect(server.sessions).toBe(0);
  stream.call.resume();
  expect((await stream.status).code).toBe(status.CANCELLED);
});

it("forgets the timer of a stream that ended in time", async () => {
  const { stream, connection, clock } = await useStream();
  connection.sink.end(CloseCode.GOING_AWAY, "");
  await stream.status;
  await connection.until(({ clean }) => clean !== undefined);
  while (clock.pending > 0) await new Promise(setImmediate);
});

it("hands over a frame without what the contract does not know: a body would carry it to everybody, past every limit", async () => {
  const { stream, connection } = await useStream();
  const kind = { case: "text", value: "hi" } as const;
  const body = create(BodySchema, { kind });
  body.$unknown = [{ no: 1_000, wireType: 2, data: Uint8Array.of(1, 7) }];
  stream.send({ frame: { case: "publish", value: { roomId: "lobby", body } } });
  await connection.until(({ frames }) => frames.length === 1);
  expect(connection.frames[0]?.frame.value).toMatchObject({ body: { kind } });
  expect(connection.frames[0]?.frame.value).not.toHaveProperty("body.$unknown");
});

it("hands over 4 KiB of garbage as undecodable, and goes on if the session does", async () => {
  const { stream, connection } = await useStream();
  stream.sendBytes(Buffer.alloc(4_096, 0xff));
  stream.send({ ref: 2, frame: { case: "ping", value: { id: 2 } } });
  await connection.until(({ frames }) => frames.length === 1);
  expect(connection.faults).toMatchObject([
    { undecodable: true, ref: undefined, error: { code: ErrorCode.INVALID_ARGUMENT } },
  ]);
});

it("names the ref of a frame whose content alone is broken", async () => {
  const { stream, connection } = await useStream();
  // ref 9, and a Publish that holds a field cut short.
  stream.sendBytes(Uint8Array.of(0x08, 9, 0x32, 2, 0x0a, 5));
  await connection.until(({ faults }) => faults.length === 1);
  expect(connection.faults).toMatchObject([{ undecodable: false, ref: 9 }]);
});

it("hands over a frame beyond the limit as TOO_LARGE with its ref", async () => {
  const { stream, connection } = await useStream();
  const text = "x".repeat(64 * 1_024);
  stream.send({ ref: 5, frame: { case: "publish", value: { body: { kind: { case: "text", value: text } } } } });
  await connection.until(({ faults }) => faults.length === 1);
  expect(connection.faults).toMatchObject([
    { ref: 5, undecodable: true, error: { code: ErrorCode.TOO_LARGE, details: { limit: "65536" } } },
  ]);
});

it("accepts a frame exactly at the limit", async () => {
  const { stream, connection } = await useStream();
  const frame = create(ClientFrameSchema, { frame: { case: "sendSignal", value: { data: new Uint8Array(65_500) } } });
  const bytes = toBinary(ClientFrameSchema, frame);
  const padding = 64 * 1_024 - bytes.length;
  const exact = Buffer.concat([bytes, Uint8Array.of(0xc2, 0x3e, padding - 3), new Uint8Array(padding - 3)]);
  expect(fromBinary(ClientFrameSchema, exact).frame.case).toBe("sendSignal");
  stream.sendBytes(exact);
  await connection.until(({ frames }) => frames.length === 1);
});

it("ends a stream whose frame is far beyond the limit, and no other", async () => {
  const { stream, connection, client, core } = await useStream();
  const other = new ClientStream(client());
  const bystander = await core.sessions.connection(1);
  stream.sendBytes(Buffer.alloc(8_000_000));
  expect((await stream.status).code).toBe(status.RESOURCE_EXHAUSTED);
  await connection.until(({ clean }) => clean !== undefined);
  other.send({ ref: 1 });
  await bystander.until(({ frames }) => frames.length === 1);
});

it("refuses a stream that is not admitted, with a reason and when to come back", async () => {
  const { core, client } = await useGrpcServer();
  core.sessions.admission = { admitted: false, retryAfterMs: 2_000 };
  const ended = await new ClientStream(client()).status;
  expect(ended.code).toBe(status.UNAVAILABLE);
  expect(fromStatus(ended)).toMatchObject({ retryAfterMs: 2_000, details: { close_code: "4102" } });
  expect(core.sessions.connections).toEqual([]);
});

it("answers INTERNAL when the session port throws", async () => {
  const { core, client, faults } = await useGrpcServer();
  core.sessions.accept = () => {
    throw new TrunklineError(ErrorCode.INTERNAL, "internal error", { cause: new Error("bug") });
  };
  expect((await new ClientStream(client()).status).code).toBe(status.INTERNAL);
  expect(faults).toMatchObject([{ where: "SessionService.connect", cause: { message: "bug" } }]);
});
