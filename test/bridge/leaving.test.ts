// What a bridge that leaves waits for, and what it does not: time stands still, so nothing here ends by a deadline.

import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import type { RoomResponse } from "../../src/core/room/calls.js";
import { TailResponseSchema } from "../../src/gen/trunkline/v1/delivery_pb.js";
import { GetRoomResponseSchema } from "../../src/gen/trunkline/v1/room_pb.js";
import { useBridge, useTcp } from "./use-bridge.js";

it("does not wait for connections that carry nothing: silent ones, half a request, one kept alive", async () => {
  const { bridge, port } = await useBridge();
  await useTcp(port);
  const half = await useTcp(port);
  half.write("GET /health/live HTTP/1.1\r\nHo");
  const kept = await useTcp(port);
  kept.write("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(kept, "data");
  await bridge.close(60_000);
});

it("lets a call that has begun finish, and waits no longer for its connection", async () => {
  const { bridge, core, port } = await useBridge();
  const begun = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<RoomResponse>();
  core.answer = () => {
    begun.resolve();
    return answer.promise;
  };
  const socket = await useTcp(port);
  const headers = "Host: a\r\nContent-Type: application/json\r\nAuthorization: Bearer good-ann\r\nContent-Length: 2";
  socket.write(`POST /trunkline.v1.RoomService/GetRoom HTTP/1.1\r\n${headers}\r\n\r\n{}`);
  await begun.promise;
  const closed = bridge.close(60_000);
  answer.resolve({ case: "getRoom", value: create(GetRoomResponseSchema, { room: { roomId: "lobby" } }) });
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(text).toMatch(/\r\nconnection: close\r\n/i);
  expect(text).toContain('{"room":{"roomId":"lobby"}}');
  await closed;
});

it("lets a stream end, and waits no longer for its connection", async () => {
  const { bridge, core, port } = await useBridge();
  const ended = Promise.withResolvers<void>();
  core.tail = async function* () {
    yield create(TailResponseSchema, { cursor: "a" });
    await ended.promise;
    yield create(TailResponseSchema, { cursor: "b" });
  };
  const socket = await useTcp(port);
  const request = Buffer.from("\0\0\0\0\x02{}", "latin1");
  const headers = `Host: a\r\nContent-Type: application/connect+json\r\nAuthorization: Bearer good-ann\r\nContent-Length: ${request.length}`;
  socket.write(`POST /trunkline.v1.DeliveryService/Tail HTTP/1.1\r\n${headers}\r\n\r\n`);
  socket.write(request);
  let text = String(await once(socket, "data"));
  const closed = bridge.close(60_000);
  ended.resolve();
  for await (const chunk of socket) text += String(chunk);
  expect(text).toContain('{"cursor":"b"}');
  await closed;
});
