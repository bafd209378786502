// Frames in and out of a WebSocket, its bounds and its end.

import { once } from "node:events";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  type ClientFrame,
  ClientFrameSchema,
  type ServerFrame,
  ServerFrameSchema,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode } from "../../src/ports/error.js";
import type { FakeConnection } from "./fake-core.js";
import { upgrade, useBridge, useClient } from "./use-bridge.js";

const PING: ClientFrame = create(ClientFrameSchema, { ref: 7, frame: { case: "ping", value: { id: 3 } } });
const PONG: ServerFrame = create(ServerFrameSchema, { replyTo: 7, frame: { case: "pong", value: { id: 3 } } });
const BINARY = ["trunkline.v1.binary"];
const JSON_TEXT = ["trunkline.v1.json"];

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

describe("binary", () => {
  it("carries frames both ways", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    client.socket.send(toBinary(ClientFrameSchema, PING));
    const connection = await core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 1);
    expect(connection.frames[0]).toEqual(PING);
    expect(connection.origin).toEqual({ transport: "websocket", address: "127.0.0.1" });

    expect(send(connection, PONG)).toBe(true);
    const { data, isBinary } = await client.next();
    expect(isBinary).toBe(true);
    expect(fromBinary(ServerFrameSchema, data)).toEqual(PONG);
  });

  it("keeps nothing of the transport's buffers in a frame", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    for (const fill of [1, 2]) {
      const data = new Uint8Array(100).fill(fill);
      const frame = create(ClientFrameSchema, {
        frame: { case: "sendSignal", value: { target: { case: "roomId", value: "r" }, type: "t", data } },
      });
      client.socket.send(toBinary(ClientFrameSchema, frame));
    }
    const connection = await core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 2);
    const buffers = connection.frames.map(({ frame }) =>
      frame.case === "sendSignal" ? frame.value.data.buffer : undefined,
    );
    expect(buffers.every((buffer) => buffer !== undefined && buffer.byteLength < 256)).toBe(true);
  });

  it("reports bytes that are no frame as undecodable", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    client.socket.send(Buffer.from([0x0a, 0xff, 0xff]));
    const connection = await core.sessions.connection();
    await connection.until(({ faults }) => faults.length === 1);
    expect(connection.faults[0]?.undecodable).toBe(true);
    expect(connection.faults[0]?.error.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("reports a text message as undecodable", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    client.socket.send("{}");
    const connection = await core.sessions.connection();
    await connection.until(({ faults }) => faults.length === 1);
    expect(connection.faults[0]?.error.message).toBe("frame: a text message on trunkline.v1.binary");
  });
});

describe("JSON", () => {
  it("carries frames both ways", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, JSON_TEXT);
    client.socket.send('{"ref":7,"ping":{"id":3}}');
    const connection = await core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 1);
    expect(connection.frames[0]).toEqual(PING);

    send(connection, PONG);
    const { data, isBinary } = await client.next();
    expect(isBinary).toBe(false);
    expect(JSON.parse(data.toString())).toEqual({ replyTo: 7, pong: { id: 3 } });
  });

  it("reports a wrong field by name, with the frame's ref, as decodable", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, JSON_TEXT);
    client.socket.send('{"ref":9,"publish":{"roomId":"r","colour":"red"}}');
    const connection = await core.sessions.connection();
    await connection.until(({ faults }) => faults.length === 1);
    const [fault] = connection.faults;
    expect(fault).toMatchObject({ undecodable: false, ref: 9 });
    expect(fault?.error).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, field: "publish.colour" });
  });
});

describe("no subprotocol", () => {
  it("is JSON if the first message is text, binary otherwise", async () => {
    const { url, core } = await useBridge();
    const text = await useClient(url);
    text.socket.send('{"ping":{"id":1}}');
    const first = await core.sessions.connection(0);
    await first.until(({ frames }) => frames.length === 1);
    expect(first.sink.encoding.name).toContain("json");

    const binary = await useClient(url);
    binary.socket.send(toBinary(ClientFrameSchema, PING));
    const second = await core.sessions.connection(1);
    await second.until(({ frames }) => frames.length === 1);
    expect(second.sink.encoding.name).toContain("binary");
  });
});

describe("writing", () => {
  it("delivers frames of every length in order, many in one write", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, JSON_TEXT);
    const connection = await core.sessions.connection();
    const lengths = [0, 60, 100, 125, 126, 400, 65_000, 65_536, 200_000];
    const events = lengths.map((length, index) => eventOf(index + 1, "x".repeat(length)));
    for (const part of [events.slice(0, 6), events.slice(6)]) {
      connection.sink.write(part.map((event) => connection.sink.encoding.roomEvents("r", [event])));
    }
    for (const [index, length] of lengths.entries()) {
      const { roomEvents } = JSON.parse((await client.next()).data.toString());
      expect(roomEvents.events[0].position.seq).toBe(index + 1);
      expect((roomEvents.events[0].messageCreated.body.text ?? "").length).toBe(length);
    }
  });

  it("writes the bytes it is given, so that sessions can share them", async () => {
    const { url, core } = await useBridge();
    const clients = [await useClient(url, BINARY), await useClient(url, BINARY)];
    const first = await core.sessions.connection(0);
    const second = await core.sessions.connection(1);
    expect(first.sink.encoding).toBe(second.sink.encoding);
    const frame = first.sink.encoding.roomEvents("room", [eventOf(1, "a"), eventOf(2, "b")]);
    for (const { sink } of [first, second]) sink.write([frame]);
    for (const client of clients) {
      const decoded = fromBinary(ServerFrameSchema, (await client.next()).data);
      expect(decoded.frame.case === "roomEvents" && decoded.frame.value.events.length).toBe(2);
    }
  });

  it("asks to wait while the peer does not read, and says when it may go on", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    client.socket.pause();
    const frame = connection.sink.encoding.roomEvents("room", [eventOf(1, "x".repeat(60_000))]);
    let written = 1;
    while (connection.sink.write([frame])) written++;
    expect(connection.drains).toBe(0);
    expect(connection.sink.write([frame])).toBe(false);
    client.socket.resume();
    await connection.until(({ drains }) => drains === 1);
    for (let index = 0; index <= written; index++) await client.next();
    expect(send(connection, PONG)).toBe(true);
  });

  it("answers a WebSocket ping between frames without touching them", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    const pong = once(client.socket, "pong");
    client.socket.ping("hi");
    const frame = connection.sink.encoding.roomEvents("room", [eventOf(1, "x".repeat(100_000))]);
    connection.sink.write([frame, frame]);
    expect(String((await pong)[0])).toBe("hi");
    for (let index = 0; index < 2; index++) {
      expect(fromBinary(ServerFrameSchema, (await client.next()).data).frame.case).toBe("roomEvents");
    }
  });
});

describe("bounds", () => {
  it("refuses a message over the limit as TOO_LARGE, and still delivers what the core says to it", async () => {
    const { url, core } = await useBridge({ limits: { maxFrameBytes: 1_000 } });
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    client.socket.send(Buffer.alloc(1_001));
    await connection.until(({ faults }) => faults.length === 1);
    expect(connection.faults[0]?.error).toMatchObject({ code: ErrorCode.TOO_LARGE, details: { limit: "1000" } });
    expect(connection.faults[0]?.undecodable).toBe(true);
    send(connection, PONG);
    connection.sink.end(CloseCode.PROTOCOL_ERROR, "frame too large");
    expect(fromBinary(ServerFrameSchema, (await client.next()).data)).toEqual(PONG);
    expect(await client.closed).toEqual({ code: 4504, reason: "frame too large" });
  });

  it("cuts a peer that breaks the WebSocket protocol, even if nobody ends it", async () => {
    const { url, core, clock } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    // An unmasked frame, as no client may send.
    Reflect.get(client.socket, "_socket").write(Buffer.from([0x82, 0x01, 0x00]));
    await connection.until(({ faults }) => faults.length === 1);
    expect(connection.faults[0]?.error.message).toBe("frame: not a valid WebSocket frame");
    clock.advance(2_000);
    await connection.until(({ clean }) => clean === false);
  });

  it("reports text that is not UTF-8", async () => {
    const { url, core } = await useBridge();
    const client = await useClient(url, JSON_TEXT);
    const connection = await core.sessions.connection();
    client.socket.send(Buffer.from([0x7b, 0xff, 0x7d]), { binary: false });
    await connection.until(({ faults }) => faults.length === 1);
    expect(connection.faults[0]?.error.message).toBe("frame: text that is not UTF-8");
  });
});

describe("the end", () => {
  it("tells the close code and reason after what was written", async () => {
    const { url, core, clock } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    send(connection, PONG);
    connection.sink.end(CloseCode.KICKED, "é".repeat(100));
    expect(fromBinary(ServerFrameSchema, (await client.next()).data)).toEqual(PONG);
    expect(await client.closed).toEqual({ code: 4502, reason: "é".repeat(61) });
    await connection.until(({ clean }) => clean !== undefined);
    expect(clock.pending).toBe(0);
  });

  it("cuts a peer that does not answer the close frame after 2 s", async () => {
    const { url, core, clock } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    client.socket.pause();
    connection.sink.end(CloseCode.SLOW_CONSUMER, "too slow");
    clock.advance(1_999);
    expect(connection.clean).toBeUndefined();
    clock.advance(1);
    await connection.until(({ clean }) => clean === false);
  });

  it.each([
    { how: "closes with 1000", end: (socket: WebSocket) => socket.close(1000), clean: true },
    { how: "closes without a code, as a script may", end: (socket: WebSocket) => socket.close(), clean: true },
    { how: "closes with a code of its own", end: (socket: WebSocket) => socket.close(4_999), clean: true },
    {
      how: "closes with 1001, as a page does that is loaded anew",
      end: (socket: WebSocket) => socket.close(1001),
      clean: false,
    },
    {
      how: "closes with 4000, as one that has heard nothing does",
      end: (socket: WebSocket) => socket.close(4_000),
      clean: false,
    },
    { how: "closes with 4099", end: (socket: WebSocket) => socket.close(4_099), clean: false },
    { how: "closes with 4100", end: (socket: WebSocket) => socket.close(4_100), clean: true },
    { how: "vanishes", end: (socket: WebSocket) => socket.terminate(), clean: false },
  ])("is clean: $clean, when the client $how", async ({ end, clean }) => {
    const { url, core } = await useBridge();
    end((await useClient(url, BINARY)).socket);
    const connection = await core.sessions.connection();
    await connection.until((each) => each.clean !== undefined);
    expect(connection.clean).toBe(clean);
  });

  it("takes writes after the peer has gone without harm", async () => {
    const { url, core } = await useBridge();
    (await useClient(url, BINARY)).socket.terminate();
    const connection = await core.sessions.connection();
    await connection.until(({ clean }) => clean !== undefined);
    expect(send(connection, PONG)).toBe(true);
    connection.sink.end(CloseCode.GOING_AWAY, "");
  });

  it("ends open connections with GOING_AWAY when the bridge closes, and listens no more", async () => {
    const { url, bridge, port } = await useBridge();
    const client = await useClient(url, BINARY);
    await bridge.close(1_000);
    expect((await client.closed).code).toBe(4100);
    await expect(upgrade(port)).rejects.toThrow("ECONNREFUSED");
  });

  it("cuts what is left at the bridge's deadline", async () => {
    const { url, bridge, core, clock } = await useBridge();
    const client = await useClient(url, BINARY);
    const connection = await core.sessions.connection();
    client.socket.pause();
    const closed = bridge.close(500);
    clock.advance(500);
    await closed;
    expect(connection.clean).toBe(false);
  });
});
