// Peers that do not keep to gRPC, to HTTP/2, or to anything.

import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { ServerReflectionRequestSchema } from "../../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ClientFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ClientStream, type ServerUnderTest, useGrpcServer } from "./use-grpc-server.js";

function useHttp2(address: string): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

function openStream(session: ClientHttp2Session, path = "/trunkline.v1.SessionService/Connect"): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  return stream;
}

/** The gRPC status a stream ends with, from its headers or trailers; undefined: it was reset. */
async function endOf(stream: ClientHttp2Stream): Promise<string | undefined> {
  let status: string | undefined;
  const read = (headers: { readonly [name: string]: unknown }) => {
    if (typeof headers["grpc-status"] === "string") status = headers["grpc-status"];
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  if (!stream.closed) await once(stream, "close");
  return status;
}

/** The same for a client that never closes its own side: the server resets the stream ten seconds after the status. */
async function endOfKept({ core, clock }: ServerUnderTest, stream: ClientHttp2Stream): Promise<string | undefined> {
  const end = endOf(stream);
  const connection = await core.sessions.connection();
  await connection.until(({ clean }) => clean !== undefined);
  clock.advance(10_000);
  return end;
}

/** A gRPC message: flag, length, content. */
function framed(content: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

const ping = (ref: number) =>
  toBinary(ClientFrameSchema, create(ClientFrameSchema, { ref, frame: { case: "ping", value: {} } }));

async function expectServing({ client, core }: ServerUnderTest): Promise<void> {
  const index = core.sessions.connections.length;
  const stream = new ClientStream(client());
  stream.send({ ref: 1 });
  const connection = await core.sessions.connection(index);
  await connection.until(({ frames }) => frames.length === 1);
  stream.call.cancel();
}

it("tells the session that it is gone when the connection breaks", async () => {
  const { core, address } = await useGrpcServer();
  const session = useHttp2(address);
  openStream(session);
  const connection = await core.sessions.connection();
  session.destroy();
  await connection.until(({ clean }) => clean === false);
});

it.each([
  ["that is open", undefined],
  ["that its session has ended", CloseCode.SLOW_CONSUMER],
])("lets go of a stream %s, and of what waits in it, when the client resets it without an error", async (_, code) => {
  const { server, core, address } = await useGrpcServer();
  const stream = openStream(useHttp2(address));
  const connection = await core.sessions.connection();
  const { sink } = connection;
  sink.write(Array.from({ length: 64 }, () => Buffer.alloc(64 * 1_024)));
  await once(stream, "readable");
  if (code !== undefined) sink.end(code, "too slow");
  // Sends RST_STREAM with NO_ERROR.
  stream.destroy();
  await connection.until(({ clean }) => clean === false);
  expect(server.sessions).toBe(0);
});

it("lets go of a stream of reflection that the client resets so, too: the server's end does not wait for it", async () => {
  const { server, address } = await useGrpcServer();
  const stream = openStream(useHttp2(address), "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  const messageRequest = { case: "fileContainingSymbol", value: "trunkline.v1.SessionService" } as const;
  const request = create(ServerReflectionRequestSchema, { messageRequest });
  for (let asked = 0; asked < 8; asked++) stream.write(framed(toBinary(ServerReflectionRequestSchema, request)));
  await once(stream, "readable");
  stream.destroy();
  await server.close(10_000);
});

it("survives bytes that are no HTTP/2", async () => {
  const under = await useGrpcServer();
  for (const bytes of [Buffer.alloc(4_096, 0xff), Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(0)]) {
    const socket = connectTcp(under.server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(bytes);
    socket.resume();
    await once(socket, "close");
  }
  await expectServing(under);
});

it("reads frames that come split at every byte", async () => {
  const { core, address } = await useGrpcServer();
  const stream = openStream(useHttp2(address));
  const connection = await core.sessions.connection();
  for (const byte of Buffer.concat([framed(ping(1)), framed(ping(2))])) stream.write(Buffer.of(byte));
  await connection.until(({ frames }) => frames.length === 2);
  expect(connection.frames.map(({ ref }) => ref)).toEqual([1, 2]);
});

it("refuses a message whose length is beyond all bounds before any of it has come", async () => {
  const under = await useGrpcServer();
  const stream = openStream(useHttp2(under.address));
  stream.write(Buffer.of(0, 0xff, 0xff, 0xff, 0xff));
  expect(await endOfKept(under, stream)).toBe("8");
  await expectServing(under);
});

it("refuses a compressed message that is none", async () => {
  const under = await useGrpcServer();
  const session = useHttp2(under.address);
  const stream = session.request({
    ":method": "POST",
    ":path": "/trunkline.v1.SessionService/Connect",
    "content-type": "application/grpc",
    "grpc-encoding": "gzip",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.write(framed(Buffer.alloc(100, 0xff), 1));
  expect(await endOfKept(under, stream)).toBe("13");
  await expectServing(under);
});

it("answers an unknown method with UNIMPLEMENTED", async () => {
  const { address } = await useGrpcServer();
  expect(await endOf(openStream(useHttp2(address), "/trunkline.v1.SessionService/Nothing"))).toBe("12");
});

it("survives random bytes as frames: each is received or reported, and order is kept", async () => {
  const under = await useGrpcServer();
  const stream = openStream(useHttp2(under.address));
  const connection = await under.core.sessions.connection();
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      stream.write(framed(bytes));
      sent++;
      await connection.until(({ frames, faults }) => frames.length + faults.length === sent);
    }),
    { numRuns: 300 },
  );
  stream.write(framed(ping(77)));
  await connection.until(({ frames }) => frames.at(-1)?.ref === 77);
});

it("survives random bytes as streams", async () => {
  const under = await useGrpcServer();
  under.core.sessions.endsFinished = true;
  const session = useHttp2(under.address);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
      const stream = openStream(session);
      stream.end(bytes);
      await endOf(stream);
    }),
    { numRuns: 100 },
  );
  await expectServing(under);
});

it("closes connections beyond the bound as they come", async () => {
  const under = await useGrpcServer({ maxConnections: 2 });
  const first = useHttp2(under.address);
  const second = useHttp2(under.address);
  await Promise.all([once(first, "connect"), once(second, "connect")]);
  openStream(second);
  await under.core.sessions.connection();
  const third = connectTcp(under.server.port, "127.0.0.1");
  third.on("error", () => {});
  third.resume();
  await once(third, "close");
  expect(under.server.connections).toBe(2);
});
