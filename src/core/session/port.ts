// The session port: the one way in for every transport. gRPC stream, WebSocket bridge, link and tests call the same three
// things: `accept` a connection with a sink, hand its frames to `receive`, say when it is gone.

import type { CloseCode, Error as WireError } from "../../gen/trunkline/v1/error_pb.js";
import type { ClientFrame, ServerFrame } from "../../gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { TrunklineError } from "../../ports/error.js";

/** How frames look on one kind of wire. Stateless; one instance per kind, shared by all its sessions. */
export interface FrameEncoding {
  readonly name: string;
  /** One frame, for one session. */
  frame(frame: ServerFrame): Uint8Array;
  /** `RoomEvents` of one room, made once and written to every session of this encoding. */
  roomEvents(roomId: string, events: readonly EncodedEvent[]): Uint8Array;
  /** A frame that is encoded as protobuf already; may keep the bytes. Absent: such a frame is decoded, and encoded anew. */
  ofProtobuf?(frame: Uint8Array): Uint8Array;
}

/**
 * A wire under many sessions, such as the link of a bridge: what a room's readers among them get is said on it once, to a relay, and
 * whoever is at its other end hands it to each. Relays and sessions are numbers on the wire. No method may throw.
 */
export interface SharedWire {
  readonly encoding: FrameEncoding;
  /** Whether it takes no more now. */
  readonly full: boolean;
  /** It is full: calls `resume` once it takes more. */
  wait(waiting: Resumable): void;
  /** A relay with nobody at it, by a number that this wire has not named before. */
  openRelay(): number;
  /** Hands a frame to everybody at the relay. `sent`: the seq of the last event in it; 0: it has none, and is dropped for who reads slowly. */
  relay(relay: number, frame: Uint8Array, sent: number): void;
  /**
   * From here on the session is at the relay, which has come to the event `sent`, as the session has.
   *
   * @returns What it is called in `detach`.
   */
  attach(relayed: Relayed, relay: number, sent: number): number;
  /** Has the session leave its relay. */
  detach(attachment: number): void;
}

/** One session at a relay. */
export interface Relayed {
  /** Its number on the wire. */
  readonly session: number;
  /**
   * It has left, because of `detach` or because its client reads too slowly, and the event `sent` is the last that it has got. Called once; not where the
   * session has ended. Returns whether that can be.
   */
  left(sent: number): boolean;
}

/** A session's place on a shared wire. */
export interface SharedPlace {
  readonly wire: SharedWire;
  /** Its number there. */
  readonly session: number;
}

export interface Resumable {
  resume(): void;
}

/** Where a session writes: implemented by each transport. No method may throw. */
export interface SessionSink {
  readonly encoding: FrameEncoding;
  /** The wire that it shares with other sessions. Absent: it shares none. */
  readonly shared?: SharedPlace;
  /**
   * Takes frames, in order; the arrays' bytes are shared with other sessions and must not be changed, the outer array is the
   * session's and must not be kept. Returns false when enough waits: the session then writes no more until the transport
   * calls `drained`. What was handed over is taken in any case.
   */
  write(frames: readonly Uint8Array[]): boolean;
  /**
   * Ends the connection after what was written has been sent. Called once; nothing is written after it. `UNSPECIFIED`: all is well, the
   * client has finished.
   */
  end(code: CloseCode, reason: string): void;
  /**
   * Instead of a Goodbye and `end`, where the client may well come back and the node, or what it stands on, is why it has to: whoever holds its
   * connection says Goodbye, and need not close the connection for that. Called once; nothing is written after it. Absent: the session does.
   */
  dismiss?(dismissal: Dismissal): void;
  /** What the client says from now on is another connection's. Absent: the sink ends with the connection that it was accepted for. */
  turnTo?(connection: Connection): void;
}

/** How a session ends that its client has not been told of. */
export interface Dismissal {
  readonly code: CloseCode;
  /** For people. */
  readonly reason: string;
  /** When the client may come back, in milliseconds; 0: it chooses. */
  readonly reconnectAfterMs: number;
  /** What went wrong. Undefined: nothing. */
  readonly error: WireError | undefined;
}

/** What a transport knows of a connection before the first frame. */
export interface ConnectionOrigin {
  readonly transport: "grpc" | "websocket" | "events" | "in-process";
  /** The peer's address, for limits and logs. */
  readonly address: string;
  /** A token carried by the transport (gRPC metadata). `Hello.token` wins. */
  readonly token?: string;
}

/** One connection, as its transport sees it. No method throws or rejects. */
export interface Connection {
  /** A frame the client sent. Frames are handled in the order given. */
  receive(frame: ClientFrame): void;
  /** Bytes came that are no valid frame. `undecodable`: not even the envelope could be read. `ref`: the frame's, where it could be read. */
  malformed(error: TrunklineError, undecodable: boolean, ref?: number): void;
  /** The sink can take more. */
  drained(): void;
  /**
   * The client sends no more but still reads: what it has asked is answered, then the sink is ended with `UNSPECIFIED` and no Goodbye.
   */
  finish(): void;
  /**
   * What the client is connected to leaves: what it has asked is answered, then it is told Goodbye with GOING_AWAY and this delay, in
   * milliseconds, and the sink is ended.
   */
  leave(reconnectAfterMs: number): void;
  /** The connection is gone. `clean`: the client closed it, and did not just leave a page. Idempotent. */
  gone(clean: boolean): void;
}

export type Admission =
  | { readonly admitted: true }
  /** Too many new connections just now, or the node is leaving. */
  | { readonly admitted: false; readonly retryAfterMs: number };

export interface SessionPort {
  /** Asked before any work is spent on a new connection. */
  admit(): Admission;
  /**
   * As `admit`, but for connections whose clients cannot read what they are refused with (WebSocket before the upgrade): one that would not
   * be admitted now is held until its turn comes, for 3 s at most. `answer` is called once, during this call or later, and must not throw; on
   * admission it calls `accept`. Returns what ends the wait of a connection that is gone: `answer` is not called then. Idempotent.
   */
  enter(answer: (admission: Admission) => void): () => void;
  /** A new connection. Its first frame must be Hello, within the handshake deadline. */
  accept(sink: SessionSink, origin: ConnectionOrigin): Connection;
}

export type { ClientFrame, ServerFrame, WireError };
