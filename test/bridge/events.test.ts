// The fallback: frames as server-sent events and by requests, its bounds and its end. See connection.test.ts for WebSocket.

import { once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { ClientFrameSchema, type ServerFrame, ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode } from "../../src/ports/error.js";
import type { FakeConnection } from "./fake-core.js";
import { upgrade, useBridge, useClient, useTcp } from "./use-bridge.js";
import { type EventsClient, post, useEvents } from "./use-events.js";

const PING = create(ClientFrameSchema, { ref: 7, frame: { case: "ping", value: { id: 3 } } });
const PONG: ServerFrame = create(ServerFrameSchema, { replyTo: 7, frame: { case: "pong", value: { id: 3 } } });
const UNKNOWN_KEY = `${"a".repeat(22)}.${"b".repeat(22)}`;

function ping(id: number): string {
  return JSON.stringify({ ping: { id } });
}

function eventOf(seq: number, text: string): EncodedEvent {
  const event = create(RoomEventSchema, {
    eventId: `e${seq}`,
    position: { seq, tag: seq * 7 },
    kind: { case: "messageCreated", value: { body: { kind: { case: "text", value: text } }, messageIndex: seq } },
  });
  return new EncodedEvent(seq, seq * 7, toBinary(RoomEventSchema, event));
}

function send(connection: FakeConnection, ...frames: ServerFrame[]): boolean {
  return connection.sink.write(frames.map((frame) => connection.sink.encoding.frame(frame)));
}

/** The ids of the pings that came. */
function pings({ frames }: FakeConnection): readonly number[] {
  return frames.map(({ frame }) => (frame.case === "ping" ? frame.value.id : Number.NaN));
}

async function frameOf(client: EventsClient): Promise<unknown> {
  const event = await client.next();
  expect(event?.name).toBe("");
  return JSON.parse(event?.data ?? "");
}

describe("a stream", () => {
  it("carries frames both ways", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    expect((await client.post(1, '{"ref":7,"ping":{"id":3}}')).status).toBe(204);
    const connection = await core.sessions.connection();
    expect(connection.frames).toEqual([PING]);
    expect(connection.origin).toEqual({ transport: "events", address: "127.0.0.1" });
    send(connection, PONG, PONG);
    for (let index = 0; index < 2; index++) expect(await frameOf(client)).toEqual({ replyTo: 7, pong: { id: 3 } });
  });

  it("is kept by nobody on its way, and says nothing of its key in a URL or a header", async () => {
    const { http } = await useBridge();
    const { headers, key } = await useEvents(http);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    });
    expect([...headers].flat().join()).not.toContain(key);
  });

  it("delivers frames of every length in order, many in one write, the same bytes to all", async () => {
    const { http, core } = await useBridge();
    const clients = [await useEvents(http), await useEvents(http)];
    const [first, second] = [await core.sessions.connection(0), await core.sessions.connection(1)];
    expect(first.sink.encoding).toBe(second.sink.encoding);
    const lengths = [0, 60, 126, 65_536, 200_000];
    const frames = lengths.map((length, index) =>
      first.sink.encoding.roomEvents("r", [eventOf(index + 1, "é\n".repeat(length / 2))]),
    );
    for (const { sink } of [first, second]) {
      sink.write(frames.slice(0, 3));
      sink.write(frames.slice(3));
    }
    for (const client of clients) {
      for (const [index, length] of lengths.entries()) {
        expect(await frameOf(client)).toMatchObject({ roomEvents: { events: [{ position: { seq: index + 1 } }] } });
        expect(frames[index]?.length).toBeGreaterThan(length);
      }
    }
  });

  it("asks to wait while the client does not read, and says when it may go on", async () => {
    const { port, core } = await useBridge();
    const socket = await useTcp(port);
    socket.pause();
    socket.write("GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n");
    const connection = await core.sessions.connection();
    const frame = connection.sink.encoding.roomEvents("room", [eventOf(1, "x".repeat(60_000))]);
    while (connection.sink.write([frame]));
    expect(connection.drains).toBe(0);
    expect(connection.sink.write([frame])).toBe(false);
    socket.resume();
    await connection.until(({ drains }) => drains === 1);
    expect(send(connection, PONG)).toBe(true);
  });

  it("is refused where the core admits nobody, with the time to come back after", async () => {
    const { http, core } = await useBridge();
    core.sessions.admission = { admitted: false, retryAfterMs: 1_500 };
    const refused = await fetch(`${http}/v1/events`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(await refused.json()).toMatchObject({ code: "UNAVAILABLE", retryAfterMs: 1_500 });
  });

  it("is held until its turn comes, counts meanwhile, and is let go of where its client goes", async () => {
    const { http, core, port } = await useBridge({ maxConnections: 2 });
    core.sessions.holds = true;
    const gone = new AbortController();
    const first = fetch(`${http}/v1/events`, { signal: gone.signal });
    await vi.waitFor(() => expect(core.sessions.held.size).toBe(1), { timeout: 10_000, interval: 5 });
    expect((await upgrade(port)).status).toBe(503);
    gone.abort();
    await expect(first).rejects.toThrow();
    await vi.waitFor(() => expect(core.sessions.held.size).toBe(0), { timeout: 10_000, interval: 5 });
    const second = fetch(`${http}/v1/events`);
    await vi.waitFor(() => expect(core.sessions.held.size).toBe(1), { timeout: 10_000, interval: 5 });
    for (const admit of core.sessions.held) admit({ admitted: true });
    const { status, body } = await second;
    expect([status, core.sessions.connections.length]).toEqual([200, 1]);
    await body?.cancel();
  });

  it("is not waited for where it is held and the bridge leaves", async () => {
    const { http, core, bridge } = await useBridge();
    core.sessions.holds = true;
    const held = fetch(`${http}/v1/events`).catch((error: unknown) => error);
    await vi.waitFor(() => expect(core.sessions.held.size).toBe(1), { timeout: 10_000, interval: 5 });
    await bridge.close(600_000);
    expect(await held).toBeInstanceOf(TypeError);
    await vi.waitFor(() => expect(core.sessions.held.size).toBe(0), { timeout: 10_000, interval: 5 });
  });

  it("takes two of the bridge's places, and gives them back", async () => {
    const { http, core, port, url } = await useBridge({ maxConnections: 3 });
    const client = await useEvents(http);
    await useClient(url);
    expect((await fetch(`${http}/v1/events`)).status).toBe(503);
    expect((await upgrade(port)).status).toBe(503);
    client.cut();
    await (await core.sessions.connection(0)).until(({ clean }) => clean !== undefined);
    await useEvents(http);
  });
});

describe("requests", () => {
  it("carry frames one a line, in the order of their numbers", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    await client.post(1, `${ping(1)}\n${ping(2)}\n\n`);
    await client.post(2, ping(3));
    expect(pings(await core.sessions.connection())).toEqual([1, 2, 3]);
  });

  it("that are sent again change nothing, whatever they hold", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    for (const id of [1, 1, 9]) expect((await client.post(1, ping(id))).status).toBe(204);
    await client.post(2, ping(2));
    expect((await client.post(1, "{{{")).status).toBe(204);
    const connection = await core.sessions.connection();
    expect(pings(connection)).toEqual([1, 2]);
    expect(connection.faults).toEqual([]);
  });

  it("are refused where one is missing before them, and none of it is done", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    const refused = await client.post(2, ping(2));
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ code: "CONFLICT" });
    await client.post(1, ping(1));
    expect(pings(await core.sessions.connection())).toEqual([1]);
  });

  it("are nobody's without the session's key, whatever of it is right", async () => {
    const { http, core } = await useBridge();
    const { key } = await useEvents(http);
    const [id, secret] = key.split(".");
    const wrong = [
      UNKNOWN_KEY,
      `${id}.${"b".repeat(22)}`,
      `${"a".repeat(22)}.${secret}`,
      `${key}.node`,
      `${id}`,
      "",
      "x",
    ];
    for (const each of wrong) expect([each, (await post(http, each, 1, ping(1))).status]).toEqual([each, 404]);
    expect((await core.sessions.connection()).frames).toEqual([]);
  });

  it.each([
    ["no number", "trunkline-batch", ""],
    ["number 0", "trunkline-batch", "0"],
    ["a number beyond 32 bits", "trunkline-batch", "4294967296"],
    ["a close code that is none", "trunkline-close", "99"],
  ])("are refused with %s, and the session lives on", async (_why, header, value) => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    const refused = await client.post(1, ping(1), { [header]: value });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: "INVALID_ARGUMENT", field: header });
    await client.post(1, ping(2));
    expect(pings(await core.sessions.connection())).toEqual([2]);
  });

  it("with a bad frame report it as a WebSocket's, and the others are handled", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    await client.post(1, `${ping(1)}\n{"ref":9,"publish":{"roomId":"r","colour":"red"}}\n${ping(2)}`);
    await client.post(2, "{");
    const connection = await core.sessions.connection();
    expect(pings(connection)).toEqual([1, 2]);
    expect(connection.faults).toMatchObject([
      { undecodable: false, ref: 9, error: { code: ErrorCode.INVALID_ARGUMENT, field: "publish.colour" } },
      { undecodable: true, ref: 0, error: { code: ErrorCode.INVALID_ARGUMENT } },
    ]);
  });

  it("that are not UTF-8 are reported", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    await client.post(1, Uint8Array.of(0x7b, 0xff, 0x7d));
    const [fault] = (await core.sessions.connection()).faults;
    expect(fault?.error.message).toBe("frame: text that is not UTF-8");
    expect(fault?.undecodable).toBe(true);
  });

  it.each(["content-length: 1001", "transfer-encoding: chunked"])(
    "over the limit are refused as TOO_LARGE, and the session is told: %s",
    async (length) => {
      const { http, core, port } = await useBridge({ limits: { maxFrameBytes: 1_000 } });
      const { key, maxBytes } = await useEvents(http);
      expect(maxBytes).toBe(1_000);
      const socket = await useTcp(port);
      const head = `POST /v1/frames HTTP/1.1\r\nhost: a\r\ntrunkline-session: ${key}\r\ntrunkline-batch: 1\r\n${length}\r\n\r\n`;
      socket.write(`${head}3e9\r\n${"x".repeat(1_001)}`);
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      expect(text).toMatch(/^HTTP\/1.1 413 /);
      const connection = await core.sessions.connection();
      expect(connection.faults).toMatchObject([
        { undecodable: true, error: { code: ErrorCode.TOO_LARGE, details: { limit: "1000" } } },
      ]);
    },
  );

  it("of one session are read two at a time: more are to be sent again", async () => {
    const { http, core, port } = await useBridge();
    const client = await useEvents(http);
    const head = `POST /v1/frames HTTP/1.1\r\nhost: a\r\ntrunkline-session: ${client.key}\r\ntrunkline-batch: 1\r\n`;
    const sockets = [await useTcp(port), await useTcp(port)];
    for (const socket of sockets) socket.write(`${head}expect: 100-continue\r\ncontent-length: 11\r\n\r\n`);
    for (const socket of sockets) expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1.1 100 /);
    const refused = await client.post(1, ping(1));
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    for (const socket of sockets) {
      socket.write('{"ping":{}}');
      expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1.1 204 /);
    }
    expect((await core.sessions.connection()).frames).toHaveLength(1);
    expect((await client.post(2, ping(2))).status).toBe(204);
  });

  it("that break off change nothing", async () => {
    const { http, core, port } = await useBridge();
    const client = await useEvents(http);
    const socket = await useTcp(port);
    socket.write(
      `POST /v1/frames HTTP/1.1\r\nhost: a\r\ntrunkline-session: ${client.key}\r\ntrunkline-batch: 1\r\ncontent-length: 100\r\n\r\n${ping(9)}`,
    );
    socket.destroy();
    await client.post(1, ping(1));
    expect(pings(await core.sessions.connection())).toEqual([1]);
  });
});

describe("the end", () => {
  it("tells the close code and reason after what was written", async () => {
    const { http, core, clock } = await useBridge();
    const client = await useEvents(http);
    const connection = await core.sessions.connection();
    send(connection, PONG);
    connection.sink.end(CloseCode.KICKED, "é\n");
    expect(await frameOf(client)).toEqual({ replyTo: 7, pong: { id: 3 } });
    expect(await client.next()).toEqual({ name: "end", data: '{"code":4502,"reason":"é\\n"}' });
    expect(await client.next()).toBeUndefined();
    await connection.until(({ clean }) => clean !== undefined);
    expect((await client.post(1, ping(1))).status).toBe(404);
    expect(clock.pending).toBe(0);
  });

  it("cuts a client that does not read after 2 s", async () => {
    const { port, core, clock } = await useBridge();
    const socket = await useTcp(port);
    socket.pause();
    socket.write("GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n");
    const connection = await core.sessions.connection();
    const frame = connection.sink.encoding.roomEvents("room", [eventOf(1, "x".repeat(60_000))]);
    while (connection.sink.write([frame]));
    connection.sink.end(CloseCode.SLOW_CONSUMER, "too slow");
    clock.advance(1_999);
    expect(connection.clean).toBeUndefined();
    clock.advance(1);
    await connection.until(({ clean }) => clean === false);
  });

  it.each([
    { code: "1000", clean: true },
    { code: "4999", clean: true },
    { code: "1001", clean: false },
    { code: "4000", clean: false },
    { code: "4099", clean: false },
  ])(
    "is clean: $clean, when the client closes with $code, after the frames that come with it",
    async ({ code, clean }) => {
      const { http, core, clock } = await useBridge();
      const client = await useEvents(http);
      expect((await client.post(1, ping(1), { "trunkline-close": code })).status).toBe(204);
      const connection = await core.sessions.connection();
      expect(connection.clean).toBe(clean);
      expect(pings(connection)).toEqual([1]);
      expect(await client.next()).toBeUndefined();
      await expect.poll(() => clock.pending).toBe(0);
    },
  );

  it("is no clean one where the stream breaks", async () => {
    const { http, core } = await useBridge();
    const client = await useEvents(http);
    const connection = await core.sessions.connection();
    client.cut();
    await connection.until(({ clean }) => clean === false);
    expect((await client.post(1, ping(1))).status).toBe(404);
    expect(send(connection, PONG)).toBe(true);
    connection.sink.end(CloseCode.GOING_AWAY, "");
  });

  it("comes with GOING_AWAY when the bridge closes", async () => {
    const { http, bridge } = await useBridge();
    const client = await useEvents(http);
    const closed = bridge.close(60_000);
    expect(await client.next()).toMatchObject({ name: "end", data: expect.stringContaining("4100") });
    await closed;
  });

  it("comes at the bridge's deadline to who does not read", async () => {
    const { port, bridge, core, clock } = await useBridge();
    const socket = await useTcp(port);
    socket.pause();
    socket.write("GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n");
    const connection = await core.sessions.connection();
    const frame = connection.sink.encoding.roomEvents("room", [eventOf(1, "x".repeat(60_000))]);
    while (connection.sink.write([frame]));
    const closed = bridge.close(500);
    clock.advance(500);
    await closed;
    expect(connection.clean).toBe(false);
  });
});

describe("pages", () => {
  const LISTED = "https://app.example.com";

  it("of a listed origin may ask, also with what their requests say of themselves", async () => {
    const { http } = await useBridge();
    for (const [path, method] of [
      ["/v1/events", "GET"],
      ["/v1/frames", "POST"],
    ]) {
      const preflight = await fetch(`${http}${path}`, {
        method: "OPTIONS",
        headers: { origin: LISTED, "access-control-request-method": method ?? "" },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-origin")).toBe(LISTED);
      expect(preflight.headers.get("access-control-allow-methods")).toContain(method);
      expect(preflight.headers.get("access-control-allow-headers")).toContain(
        "Trunkline-Session, Trunkline-Batch, Trunkline-Close",
      );
    }
    const { headers, post: send } = await useEvents(http, { origin: LISTED });
    expect(headers.get("access-control-allow-origin")).toBe(LISTED);
    expect((await send(1, ping(1), { origin: LISTED })).headers.get("access-control-allow-origin")).toBe(LISTED);
  });

  it("of other origins are refused, before anything is read", async () => {
    const { http, core } = await useBridge();
    const { key } = await useEvents(http);
    const origin = "https://evil.example.com";
    expect((await fetch(`${http}/v1/events`, { headers: { origin } })).status).toBe(403);
    expect((await post(http, key, 1, ping(1), { origin })).status).toBe(403);
    expect(core.sessions.connections).toHaveLength(1);
    expect((await core.sessions.connection()).frames).toEqual([]);
  });
});

it.each([
  { path: "/v1/events", method: "POST" },
  { path: "/v1/events", method: "HEAD" },
  { path: "/v1/frames", method: "GET" },
])("does not answer $method $path", async ({ path, method }) => {
  const { http, core } = await useBridge();
  expect((await fetch(`${http}${path}`, { method })).status).toBe(405);
  expect(core.sessions.asked).toBe(0);
});
