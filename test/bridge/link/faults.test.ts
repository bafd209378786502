// A bridge whose node refuses it, breaks the contract, or holds no place for a client.

import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it, onTestFinished, vi } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ServerFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { useGrpcServer } from "../../transport/grpc/use-grpc-server.js";
import { upgrade, useClient } from "../use-bridge.js";
import { useEvents } from "../use-events.js";
import { portOf, SECRET, useEdge, useNode, useUnlinked } from "./use-edge.js";

/** A bridge that is linked to a server over a core in the test's hands. */
async function useFakeNode() {
  const server = await useGrpcServer({ linkSecret: SECRET });
  server.server.setServing(true);
  const edge = await useEdge([{ grpc: server.address }]);
  const ws = `ws://${edge.bridge.bridgeAddress}/v1/connect`;
  return { ...server, edge, ws, port: portOf(edge.bridge.bridgeAddress) };
}

function pong(id: number): Buffer {
  return Buffer.from(
    toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame: { case: "pong", value: { id } } })),
  );
}

it("is not ready, and takes no clients, without the node's secret", async () => {
  const node = await useNode();
  const edge = await useUnlinked([node], { secret: "not what the node expects" });
  const causes: string[] = [];
  onTestFinished(edge.bridge.telemetry.on("link.failed", ({ cause }) => causes.push(String(cause))));
  await vi.waitFor(() => expect(causes.join()).toContain("only bridges may link"), { timeout: 10_000 });
  expect(edge.bridge.trouble).toEqual(["the server has ended the link"]);
  await vi.waitFor(async () => expect((await fetch(`${edge.url}/health/ready`)).status).toBe(503));
});

it("says that a server serves no links", async () => {
  const server = await useGrpcServer();
  server.server.setServing(true);
  const edge = await useUnlinked([{ grpc: server.address }]);
  const expected = ["the server serves no links: it has no link secret"];
  await vi.waitFor(() => expect(edge.bridge.trouble).toEqual(expected), { timeout: 10_000 });
});

it("tells a client that the node does not admit when to come back, and asks for no more until then", async () => {
  const { core, ws, port } = await useFakeNode();
  core.sessions.admission = { admitted: false, retryAfterMs: 60_000 };
  const client = await useClient(ws, ["trunkline.v1.json"]);
  const told: unknown = JSON.parse((await client.next()).data.toString());
  expect(told).toEqual({ goodbye: { reason: "CLOSE_CODE_OVERLOADED", reconnectAfterMs: 60_000 } });
  expect(await client.closed).toMatchObject({ code: CloseCode.OVERLOADED });
  expect((await upgrade(port)).status).toBe(503);
});

it("lets go of a node that sends what is no frame, tells its clients to come back, and links anew", async () => {
  const { core, ws, edge } = await useFakeNode();
  const client = await useClient(ws, ["trunkline.v1.json"]);
  const { sink } = await core.sessions.connection();
  sink.write([Buffer.from([0xff])]);
  const told: unknown = JSON.parse((await client.next()).data.toString());
  expect(told).toMatchObject({ goodbye: { reason: "CLOSE_CODE_GOING_AWAY" } });
  expect((await client.closed).code).toBe(CloseCode.GOING_AWAY);
  await vi.waitFor(() => expect(edge.bridge.trouble).toEqual([]), { timeout: 10_000 });
  const again = await useClient(ws, ["trunkline.v1.binary"]);
  (await core.sessions.connection(1)).sink.write([pong(7)]);
  expect((await again.next()).data).toEqual(pong(7));
});

it("writes what came in one turn in order, in each client's own encoding", async () => {
  const { core, ws } = await useFakeNode();
  const binary = await useClient(ws, ["trunkline.v1.binary"]);
  const first = await core.sessions.connection(0);
  const json = await useClient(ws, ["trunkline.v1.json"]);
  const second = await core.sessions.connection(1);
  const shared = pong(1);
  first.sink.write([shared, pong(2)]);
  second.sink.write([pong(3), shared]);
  expect([(await binary.next()).data, (await binary.next()).data]).toEqual([shared, pong(2)]);
  const texts = [await json.next(), await json.next()].map(({ data }) => JSON.parse(data.toString()));
  expect(texts).toEqual([{ pong: { id: 3 } }, { pong: { id: 1 } }]);
});

it("tells the node how a client has gone", async () => {
  const { core, ws } = await useFakeNode();
  const [clean, cut] = [await useClient(ws), await useClient(ws)];
  const [first, second] = [await core.sessions.connection(0), await core.sessions.connection(1)];
  clean.socket.close(1000);
  cut.socket.terminate();
  await Promise.all([first.until((each) => each.clean === true), second.until((each) => each.clean === false)]);
});

it("refuses at its own door what is longer than the node takes, as the node does", async () => {
  const server = await useGrpcServer({ linkSecret: SECRET, limits: { maxFrameBytes: 1_000 } });
  server.server.setServing(true);
  const edge = await useEdge([{ grpc: server.address }], { maxFrameBytes: 2_000 });
  const { sessions } = server.core;
  const longest = `{"ping":{"id":5}}${" ".repeat(983)}`;
  const client = await useClient(`ws://${edge.bridge.bridgeAddress}/v1/connect`, ["trunkline.v1.json"]);
  client.socket.send(longest);
  const connection = await sessions.connection();
  await connection.until(({ frames }) => frames.length === 1);
  // As protobuf it is as short as the one before.
  client.socket.send(`${longest} `);
  await connection.until(({ faults }) => faults.length === 1);
  const [fault] = connection.faults;
  expect(fault?.error).toMatchObject({ code: ErrorCode.TOO_LARGE, field: "frame" });
  expect(fault?.error.message).toContain("1000");
  const events = await useEvents(edge.url);
  expect(events.maxBytes).toBe(1_000);
  expect((await events.post(1, `${longest} `)).status).toBe(413);
  const other = await sessions.connection(1);
  await other.until(({ faults }) => faults.length === 1);
  expect(other.faults[0]?.error.code).toBe(ErrorCode.TOO_LARGE);
});

it("refuses by its own limit where that is the smaller one", async () => {
  const server = await useGrpcServer({ linkSecret: SECRET });
  server.server.setServing(true);
  const edge = await useEdge([{ grpc: server.address }], { maxFrameBytes: 500 });
  expect((await useEvents(edge.url)).maxBytes).toBe(500);
});
