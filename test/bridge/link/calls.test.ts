// Calls that a bridge passes on to its node: what the node is told of whoever waits for the answer.

import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials, Server, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { remoteCalls } from "../../../bridge/link/calls.js";
import { PresenceService } from "../../../src/gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { FakeCore } from "../fake-core.js";
import { useBridge } from "../use-bridge.js";

const MINUTE_MS = 60_000;

/** A bridge, and a node that keeps what it is asked and answers nothing. */
async function useSilentNode() {
  const asked: ServerUnaryCall<unknown, unknown>[] = [];
  const keep = (call: ServerUnaryCall<unknown, unknown>): void => void asked.push(call);
  const server = new Server();
  const { getRoom } = serviceDefinition(RoomService);
  const { getPresence } = serviceDefinition(PresenceService);
  server.addService({ getRoom, getPresence }, { getRoom: keep, getPresence: keep });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  onTestFinished(() => {
    client.close();
    server.forceShutdown();
  });
  const { sessions } = new FakeCore();
  const { http, clock } = await useBridge({ core: { sessions, ...remoteCalls(() => client) } });
  const first = async (): Promise<ServerUnaryCall<unknown, unknown>> => {
    await expect.poll(() => asked, { timeout: 5_000 }).not.toEqual([]);
    const [call] = asked;
    if (call === undefined) throw new Error("nothing was asked");
    return call;
  };
  return { http, clock, first };
}

const AUTHORIZATION = { authorization: "Bearer good-alice" };

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return await call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );
}

function leftMs(call: ServerUnaryCall<unknown, unknown>): number {
  return Number(call.getDeadline()) - Date.now();
}

describe.each<[string, (baseUrl: string) => Transport]>([
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
])("a call that came by %s", (_name, transport) => {
  it("is given up at the node when its client gives it up", async () => {
    const { http, first } = await useSilentNode();
    const abort = new AbortController();
    const options = { headers: AUTHORIZATION, signal: abort.signal };
    const code = codeOf(createClient(RoomService, transport(http)).getRoom({ roomId: "r" }, options));
    const call = await first();
    expect(call.cancelled).toBe(false);
    abort.abort();
    expect(await code).toBe(Code.Canceled);
    await expect.poll(() => call.cancelled, { timeout: 5_000 }).toBe(true);
  });

  it("may take as long at the node as its client waits", async () => {
    const { http, first } = await useSilentNode();
    const options = { headers: AUTHORIZATION, timeoutMs: 10_000 };
    void codeOf(createClient(PresenceService, transport(http)).getPresence({ userIds: ["bob"] }, options));
    const left = leftMs(await first());
    expect(left).toBeLessThanOrEqual(10_000);
    expect(left).toBeGreaterThan(0);
  });
});

it("may take 30 s at the node where its client states nothing", async () => {
  const { http, first } = await useSilentNode();
  const options = { headers: AUTHORIZATION };
  const transport = createConnectTransport({ baseUrl: http, httpVersion: "1.1" });
  void codeOf(createClient(RoomService, transport).getRoom({ roomId: "r" }, options));
  const left = leftMs(await first());
  expect(left).toBeLessThanOrEqual(30_000);
  expect(left).toBeGreaterThan(10_000);
});

it("is given up at the node when the bridge has answered in its place", async () => {
  const { http, clock, first } = await useSilentNode();
  const options = { headers: AUTHORIZATION };
  const transport = createConnectTransport({ baseUrl: http, httpVersion: "1.1" });
  const code = codeOf(createClient(RoomService, transport).getRoom({ roomId: "r" }, options));
  const call = await first();
  clock.advance(MINUTE_MS);
  expect(await code).toBe(Code.DeadlineExceeded);
  await expect.poll(() => call.cancelled, { timeout: 5_000 }).toBe(true);
});
