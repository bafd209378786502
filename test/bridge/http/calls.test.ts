// Calls over HTTP/1.1 in each of its three forms.

import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { DeliveryService, TailResponseSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { ErrorSchema } from "../../../src/gen/trunkline/v1/error_pb.js";
import { GetRoomRequestSchema, GetRoomResponseSchema, RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { type BridgeUnderTest, useBridge, useTcp } from "../use-bridge.js";

const AUTHORIZED = { headers: { authorization: "Bearer good-alice" } };

function answerWithRoom({ core }: BridgeUnderTest): void {
  core.answer = async (request) => {
    const roomId = request.case === "getRoom" ? request.value.roomId : "?";
    return { case: "getRoom", value: create(GetRoomResponseSchema, { room: { roomId, name: "General" } }) };
  };
}

async function refusalOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return error;
  }
  throw new Error("the call was not refused");
}

describe.each<[string, (baseUrl: string) => Transport]>([
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true })],
  ["Connect with JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
])("%s", (_name, transport) => {
  it("calls the core as the token's user and returns its answer", async () => {
    const under = await useBridge();
    answerWithRoom(under);
    const rooms = createClient(RoomService, transport(under.http));
    const response = await rooms.getRoom({ roomId: "general" }, AUTHORIZED);
    expect(response.room?.name).toBe("General");
    expect(under.core.calls).toHaveLength(1);
    expect(under.core.calls[0]?.caller.identity.userId).toBe("alice");
    expect(under.core.calls[0]?.request.value).toMatchObject({ roomId: "general" });
  });

  it("hands over nothing that the contract does not know", async () => {
    const under = await useBridge();
    answerWithRoom(under);
    const request = create(GetRoomRequestSchema, { roomId: "general" });
    request.$unknown = [{ no: 1_000, wireType: 2, data: Uint8Array.of(1, 7) }];
    await createClient(RoomService, transport(under.http)).getRoom(request, AUTHORIZED);
    expect(under.core.calls[0]?.request.value).toEqual(create(GetRoomRequestSchema, { roomId: "general" }));
  });

  it("refuses a missing and a bad token as UNAUTHENTICATED before the core is asked", async () => {
    const { http, core } = await useBridge();
    const rooms = createClient(RoomService, transport(http));
    for (const headers of [{}, { authorization: "Bearer bad" }, { authorization: "Basic Zm9v" }]) {
      const error = await refusalOf(rooms.getRoom({ roomId: "r" }, { headers }));
      expect(error.code).toBe(Code.Unauthenticated);
      expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({ domain: "trunkline", reason: "UNAUTHENTICATED" });
    }
    expect(core.calls).toHaveLength(0);
  });

  it("carries the code, the details and when to retry", async () => {
    const { http, core } = await useBridge();
    core.answer = () =>
      Promise.reject(
        new TrunklineError(ErrorCode.CONFLICT, "stale", { retryAfterMs: 1_500, details: { current_version: "4" } }),
      );
    const error = await refusalOf(createClient(RoomService, transport(http)).updateRoom({ roomId: "r" }, AUTHORIZED));
    expect(error.code).toBe(Code.Aborted);
    expect(error.rawMessage).toBe("stale");
    expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
      reason: "CONFLICT",
      metadata: { current_version: "4" },
    });
    expect(error.findDetails(ErrorSchema)[0]).toMatchObject({ code: ErrorCode.CONFLICT, retryAfterMs: 1_500 });
    expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
  });

  it("tells nothing of a fault, and the log its cause", async () => {
    const { http, core, telemetry } = await useBridge();
    const causes: unknown[] = [];
    telemetry.on("request.refused", ({ cause }) => causes.push(cause));
    const secret = new Error("the password is hunter2");
    core.answer = () => Promise.reject(secret);
    const error = await refusalOf(createClient(RoomService, transport(http)).getRoom({ roomId: "r" }, AUTHORIZED));
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).toBe("internal error");
    expect(causes).toEqual([secret]);
  });

  it("refuses a request over the limit", async () => {
    const { http } = await useBridge({ limits: { maxFrameBytes: 1_000 } });
    const rooms = createClient(RoomService, transport(http));
    const error = await refusalOf(rooms.createRoom({ name: "x".repeat(10_000) }, AUTHORIZED));
    expect(error.code).toBe(Code.ResourceExhausted);
  });
});

describe("deadlines", () => {
  it("ends a call that the core does not answer in 30 s", async () => {
    const { http, core, clock } = await useBridge();
    const asked = Promise.withResolvers<void>();
    core.answer = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const rooms = createClient(RoomService, createConnectTransport({ baseUrl: http, httpVersion: "1.1" }));
    const refusal = refusalOf(rooms.getRoom({ roomId: "r" }, AUTHORIZED));
    await asked.promise;
    clock.advance(30_000);
    expect((await refusal).code).toBe(Code.DeadlineExceeded);
  });

  it("does not begin what nobody waits for any more when the token is verified", async () => {
    const { http, core, clock } = await useBridge();
    const asked: (() => void)[] = [];
    const verifying = Promise.withResolvers<void>();
    const { authenticate } = core;
    core.authenticate = async (token) => {
      for (const tell of asked.splice(0)) tell();
      await verifying.promise;
      return await authenticate(token);
    };
    const beginning = () => new Promise<void>((resolve) => asked.push(resolve));
    const rooms = createClient(RoomService, createConnectTransport({ baseUrl: http, httpVersion: "1.1" }));

    const gone = new AbortController();
    let begun = beginning();
    const left = refusalOf(rooms.getRoom({ roomId: "r" }, { ...AUTHORIZED, signal: gone.signal }));
    await begun;
    gone.abort();
    await left;
    await expect.poll(() => clock.pending).toBe(0);
    begun = beginning();
    const late = refusalOf(rooms.getRoom({ roomId: "r" }, AUTHORIZED));
    await begun;
    clock.advance(30_000);
    expect((await late).code).toBe(Code.DeadlineExceeded);

    verifying.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(core.calls).toEqual([]);
  });

  it("lets go of a call whose client has gone", async () => {
    const { http, core, clock } = await useBridge();
    const abort = new AbortController();
    core.answer = () => {
      abort.abort();
      return new Promise(() => {});
    };
    const rooms = createClient(RoomService, createConnectTransport({ baseUrl: http, httpVersion: "1.1" }));
    await refusalOf(rooms.getRoom({ roomId: "r" }, { ...AUTHORIZED, signal: abort.signal }));
    await expect.poll(() => clock.pending).toBe(0);
  });
});

describe("plain JSON", () => {
  it("is what curl sends", async () => {
    const under = await useBridge();
    answerWithRoom(under);
    const response = await fetch(`${under.http}/trunkline.v1.RoomService/GetRoom`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer good-alice" },
      body: '{"roomId":"general"}',
    });
    expect(await response.json()).toEqual({ room: { roomId: "general", name: "General" } });
  });
});

describe("a hostile client", () => {
  it("that does not read and then vanishes ends its stream, and is told of nowhere", async () => {
    const { core, port, telemetry } = await useBridge();
    const faults: unknown[] = [];
    telemetry.on("fault", (fault) => faults.push(fault));
    const printed = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => printed.mockRestore());
    const ended = Promise.withResolvers<void>();
    let pulled = 0;
    core.tail = async function* () {
      try {
        for (;;) {
          pulled++;
          yield create(TailResponseSchema, { cursor: "x".repeat(50_000) });
        }
      } finally {
        ended.resolve();
      }
    };
    const socket = await useTcp(port);
    const message = Buffer.from("\0\0\0\0\x02{}", "latin1");
    const headers = `Content-Type: application/connect+json\r\nAuthorization: Bearer good-ann\r\nContent-Length: ${message.length}`;
    socket.write(`POST /trunkline.v1.DeliveryService/Tail HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`);
    socket.write(message);
    await once(socket, "readable");
    let before = -1;
    while (before !== pulled) {
      before = pulled;
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.destroy();
    await ended.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(faults).toEqual([]);
    expect(printed).not.toHaveBeenCalled();
  });

  it("that names no host is refused, which is no fault of the server", async () => {
    const { port, telemetry } = await useBridge();
    const faults: unknown[] = [];
    telemetry.on("fault", (fault) => faults.push(fault));
    for (const lines of ["HTTP/1.1\r\nHost: [", "HTTP/1.1\r\nHost: a b", "HTTP/1.1\r\nHost: ", "HTTP/1.0"]) {
      const socket = await useTcp(port);
      socket.write(`POST /trunkline.v1.RoomService/GetRoom ${lines}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      expect(text).toMatch(/^HTTP\/1\.1 400 /);
      expect(text).toContain('"field":"host"');
    }
    expect(faults).toEqual([]);
  });
});

describe("other origins", () => {
  const preflight = (http: string, origin: string) =>
    fetch(`${http}/trunkline.v1.RoomService/GetRoom`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("may call if they are listed", async () => {
    const { http } = await useBridge();
    const response = await preflight(http, "https://app.example.com");
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example.com");
    expect(response.headers.get("access-control-allow-headers")).toContain("Authorization");
  });

  it("may not if they are not", async () => {
    const { http } = await useBridge();
    const response = await preflight(http, "https://evil.test");
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect(response.headers.get("access-control-allow-headers")).toBeNull();
  });
});

describe.each<[string, (baseUrl: string) => Transport]>([
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true })],
  ["Connect with JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
])("DeliveryService over %s", (_name, transport) => {
  it("takes a message for 1,000 users of the longest names", async () => {
    const { http, core } = await useBridge();
    const userIds = Array.from({ length: 1_000 }, (_, index) => String(index).padStart(128, "u"));
    await createClient(DeliveryService, transport(http)).sendToUsers({ userIds }, AUTHORIZED);
    expect(core.delivered).toMatchObject([{ caller: { identity: { userId: "alice" } }, method: "sendToUsers" }]);
  });

  it("streams what the core yields, and tells it when the client has gone", async () => {
    const { http, core } = await useBridge();
    const ended = Promise.withResolvers<void>();
    core.tail = async function* (signal) {
      signal.addEventListener("abort", () => ended.resolve());
      yield create(TailResponseSchema, { cursor: "a" });
      yield create(TailResponseSchema, { cursor: "b" });
      await ended.promise;
    };
    const cursors: string[] = [];
    const abort = new AbortController();
    const read = async () => {
      const responses = createClient(DeliveryService, transport(http)).tail(
        {},
        { ...AUTHORIZED, signal: abort.signal },
      );
      for await (const { cursor } of responses) if (cursors.push(cursor) === 2) abort.abort();
    };
    expect((await refusalOf(read())).code).toBe(Code.Canceled);
    expect(cursors).toEqual(["a", "b"]);
    await ended.promise;
  });

  it("refuses a stream with the code of the core's refusal", async () => {
    const { http, core } = await useBridge();
    core.tail = () => {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many");
    };
    const read = async () => {
      for await (const _ of createClient(DeliveryService, transport(http)).tail({}, AUTHORIZED))
        throw new Error("came");
    };
    expect((await refusalOf(read())).findDetails(ErrorInfoSchema)[0]).toMatchObject({ reason: "LIMIT_EXCEEDED" });
  });
});
