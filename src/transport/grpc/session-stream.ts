// One session over one bidirectional stream: frames in, frames out, and the several ways in which it can end.

import type { ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream, StatusObject } from "@grpc/grpc-js";
import { encodeRoomEventsFrame } from "../../core/fanout/wire.js";
import type { Connection, FrameEncoding, SessionSink } from "../../core/session/port.js";
import type { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type ClientFrame, type ServerFrame, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { closeStatus } from "../../rpc/status.js";
import { RefusedFrame } from "./frame-decoder.js";
import { http2StreamOf, letGoOnceReset } from "./http2-stream.js";

export type SessionCall = ServerDuplexStream<ClientFrame | RefusedFrame, ServerFrame | Uint8Array>;

/** Bytes that grpc-js may hold for a client that reads slowly; what is more waits in the session's own, bounded outbox. */
const WRITE_AHEAD_BYTES = 64 * 1_024;

/** How long an ended stream may take to deliver what was written and be closed by the client, in milliseconds. */
const END_DEADLINE_MS = 10_000;

/** ServerFrame as protobuf, one gRPC message each. Buffers, because grpc-js would copy anything else. */
export const GRPC_ENCODING: FrameEncoding = {
  name: "grpc",
  frame: (frame) => asBuffer(toBinary(ServerFrameSchema, frame)),
  roomEvents: (roomId, events) => asBuffer(encodeRoomEventsFrame(roomId, events)),
};

/**
 * `open`: both directions work. `ending`: what was written is on its way, then the status. `over`: the stream has ended or is
 * lost; grpc-js would queue further writes for ever without calling back.
 */
type State = "open" | "ending" | "over";

export class SessionStream implements SessionSink {
  readonly encoding = GRPC_ENCODING;
  readonly #call: SessionCall;
  readonly #clock: Clock;
  readonly #http2: ServerHttp2Stream | undefined;
  #state: State = "open";
  /** Until it was told that it is gone. */
  #connection: Connection | undefined;
  #resetTimer: Timer | undefined;
  #waitingBytes = 0;
  #full = false;

  /** `onOver` is called once, when nothing of the stream is left. */
  constructor(call: SessionCall, clock: Clock, onOver: () => void) {
    this.#call = call;
    this.#clock = clock;
    this.#http2 = http2StreamOf(call);
    const over = () => {
      if (this.#state === "over") return;
      this.#state = "over";
      this.#tellGone(false);
      this.#resetLater();
      onOver();
    };
    letGoOnceReset(this.#http2);
    call.on("cancelled", over);
    call.on("close", over);
    // The status of an orderly end is also emitted as "error": that one is still being sent.
    call.on("error", () => {
      if (this.#state === "open") over();
    });
  }

  /** Begins to read. Called once, with what `accept` gave for this sink. */
  start(connection: Connection): void {
    this.#connection = connection;
    if (this.#state === "over") this.#tellGone(false);
    this.#call.on("data", (frame: ClientFrame | RefusedFrame) => {
      // What comes after the end was decided is not answered any more.
      if (this.#state !== "open") return;
      if (frame instanceof RefusedFrame) connection.malformed(frame.error, frame.undecodable, frame.ref);
      else connection.receive(frame);
    });
    // A client may half-close a stream in the same breath as it resets it: what all that came says together counts.
    this.#call.on("end", () => this.#clock.soon(() => this.#halfClosed(connection)));
  }

  #halfClosed(connection: Connection): void {
    if (this.#state !== "open") return;
    // A stream that is lost ends for the reader too.
    if (this.#http2?.closed) {
      this.#tellGone(false);
      this.#finish(undefined);
    } else connection.finish();
  }

  write(frames: readonly Uint8Array[]): boolean {
    if (this.#state !== "open") return false;
    let bytes = 0;
    for (const [index, frame] of frames.entries()) {
      bytes += frame.byteLength;
      // Writes are flushed in order: the last one's callback stands for all.
      if (index < frames.length - 1) this.#call.write(frame);
      else this.#call.write(frame, () => this.#flushed(bytes));
    }
    this.#waitingBytes += bytes;
    this.#full ||=
      this.#waitingBytes >= WRITE_AHEAD_BYTES || this.#call.writableLength >= this.#call.writableHighWaterMark;
    return !this.#full;
  }

  end(code: CloseCode, reason: string): void {
    this.#finish(closeStatus(code, reason));
  }

  /** Ends the stream from the transport's side, where the session did not do it itself. */
  abandon(status: StatusObject): void {
    if (this.#state !== "open") return;
    this.#tellGone(false);
    this.#finish(status);
  }

  #tellGone(clean: boolean): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.gone(clean);
  }

  #flushed(bytes: number): void {
    this.#waitingBytes -= bytes;
    if (!this.#full || this.#waitingBytes > 0 || this.#state !== "open") return;
    this.#full = false;
    this.#connection?.drained();
  }

  /** Sends the status (undefined: OK) after what was written. */
  #finish(status: StatusObject | undefined): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#resetLater();
    if (status === undefined) this.#call.end();
    else this.#call.emit("error", status);
  }

  /** A client that does not read, or does not close its own side, would keep the stream and what was written to it. */
  #resetLater(): void {
    const http2 = this.#http2;
    if (http2 === undefined || http2.destroyed || this.#resetTimer !== undefined) return;
    const timer = this.#clock.after(END_DEADLINE_MS, () => http2.close(constants.NGHTTP2_CANCEL));
    http2.once("close", () => timer.cancel());
    this.#resetTimer = timer;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
