// The three ways a client speaks to Trunkline, behind one face: frames out, events in without decoding them, all else decoded.

import type { ClientHttp2Session } from "node:http2";
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  type ClientFrame,
  ClientFrameSchema,
  type ServerFrame,
  ServerFrameSchema,
  SessionService,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { grpcMessageOf, startGrpcCall } from "../wire/grpc.js";
import { connectWebSocket, frameOf } from "../wire/websocket.js";

export interface WireEvents {
  /** A frame that holds RoomEvents. Bytes are valid during the call only. */
  readonly events: (buffer: Buffer, start: number, end: number) => void;
  /**
   * Any other frame, before it is decoded, where the wire is binary. True: it was dealt with. What replies to ten thousand
   * requests a second must not decode them.
   */
  readonly raw?: (buffer: Buffer, start: number, end: number) => boolean;
  /** Any other frame. */
  readonly frame: (frame: ServerFrame) => void;
  readonly closed: (reason: string) => void;
}

export interface Wire {
  /** Encodes a frame; the bytes may be written again, and changed between. */
  encode(frame: ClientFrame): Buffer;
  write(bytes: Buffer): void;
  /** Collects what is written until the end of this turn of the event loop into one write. */
  cork(): void;
  destroy(): void;
}

/** Opens one connection. */
export type Dial = (events: WireEvents) => Promise<Wire>;

export interface WebSocketDial {
  readonly port: number;
  readonly readBuffer: Buffer;
  readonly localAddress?: string;
}

/** ServerFrame.room_events = 12, as its tag's byte. */
const ROOM_EVENTS_TAG = (12 << 3) | 2;

export function dialBinary(options: WebSocketDial): Dial {
  return async (events) => {
    const socket = await connectWebSocket({
      ...options,
      path: "/v1/connect",
      subprotocol: "trunkline.v1.binary",
      message: (buffer, start, end) => receiveBinary(events, buffer, start, end),
      closed: events.closed,
    });
    return { ...socket, encode: (frame) => frameOf(toBinary(ClientFrameSchema, frame)) };
  };
}

export function dialJson(options: WebSocketDial): Dial {
  return async (events) => {
    const socket = await connectWebSocket({
      ...options,
      path: "/v1/connect",
      subprotocol: "trunkline.v1.json",
      message: (buffer, start, end) => {
        if (beginsRoomEvents(buffer, start)) events.events(buffer, start, end);
        else events.frame(fromJsonString(ServerFrameSchema, buffer.toString("utf8", start, end)));
      },
      closed: events.closed,
    });
    return { ...socket, encode: (frame) => frameOf(toJsonString(ClientFrameSchema, frame)) };
  };
}

/** Calls share the HTTP/2 connections that `connection` hands out. */
export function dialGrpc(connection: () => Promise<ClientHttp2Session>): Dial {
  const method = SessionService.method.connect;
  return async (events) => {
    const call = startGrpcCall(await connection(), {
      path: `/${method.parent.typeName}/${method.name}`,
      message: (buffer, start, end) => receiveBinary(events, buffer, start, end),
      closed: events.closed,
    });
    return { ...call, encode: (frame) => grpcMessageOf(toBinary(ClientFrameSchema, frame)) };
  };
}

function receiveBinary(events: WireEvents, buffer: Buffer, start: number, end: number): void {
  if (buffer[start] === ROOM_EVENTS_TAG) events.events(buffer, start, end);
  else if (events.raw?.(buffer, start, end) !== true) {
    events.frame(fromBinary(ServerFrameSchema, buffer.subarray(start, end)));
  }
}

/** Whether the text begins `{"room…`: among the frames a server sends, only RoomEvents do. */
function beginsRoomEvents(buffer: Buffer, start: number): boolean {
  return buffer.toString("latin1", start, start + 6) === '{"room';
}

/** A frame of the given kind. */
export function clientFrame(ref: number, frame: ClientFrame["frame"]): ClientFrame {
  return create(ClientFrameSchema, { ref, frame });
}
