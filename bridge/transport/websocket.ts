// One browser's connection: a WebSocket whose inbound messages go to the core and whose outbound frames go straight to the
// socket, past the library's sender.
//
// Writing past it is safe because compression is off and nothing is ever sent in fragments: each Buffer is a whole frame,
// and the library writes its own control frames (pong, close) whole, in one tick, so none can land inside another.
//
// Memory counts here, ten thousand times over: no closure, timer or map is kept for a connection at rest.

import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import type { Limits } from "../../src/core/limit/limits.js";
import type { Connection, FrameEncoding, SessionSink } from "../../src/core/session/port.js";
import type { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { TrunklineError } from "../../src/ports/error.js";
import { closeReason, saysGone } from "../close-code.js";
import type { Dialect } from "./encoding.js";

/** From the close frame to cutting the connection, where the peer does not answer it, in milliseconds. */
export const CLOSE_DEADLINE_MS = 2_000;

/** Bytes of several frames up to which copying them into one Buffer is cheaper than a vectored write (measured). */
const CONCAT_BYTES = 8 * 1024;

/** What all connections of a bridge have in common. */
export interface SocketHost {
  readonly clock: Clock;
  readonly limits: Pick<Limits, "maxFrameBytes">;
  readonly binary: Dialect;
  readonly json: Dialect;
  /** The connection is gone. */
  gone(socket: BridgeSocket): void;
}

export class BridgeSocket extends WebSocket implements SessionSink {
  #host: SocketHost | undefined;
  #socket: Duplex | undefined;
  #connection: Connection | undefined;
  /** Undefined until the first message of a client that named no subprotocol. */
  #dialect: Dialect | undefined;
  #deadline: Timer | undefined;
  #ending = false;
  #congested = false;

  /** Ties the open WebSocket to a session of the core. Called once, before any message is read. */
  begin(host: SocketHost, socket: Duplex, accept: (sink: SessionSink) => Connection): void {
    this.#host = host;
    this.#socket = socket;
    this.#dialect = dialectNamed(host, this.protocol);
    this.on("message", onMessage);
    this.on("close", onClose);
    this.on("error", onError);
    this.#connection = accept(this);
  }

  /** A client that has named none and said nothing yet may be a person at a terminal: JSON. */
  get encoding(): FrameEncoding {
    const dialect = this.#dialect ?? this.#host?.json;
    if (dialect === undefined) throw new Error("encoding asked for before begin");
    return dialect.encoding;
  }

  write(frames: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    // The peer has said goodbye or is gone: nothing may follow the close frame.
    if (socket === undefined || this.readyState !== WebSocket.OPEN || !socket.writable) return true;
    writeAll(socket, frames);
    if (!socket.writableNeedDrain) return true;
    if (!this.#congested) {
      this.#congested = true;
      socket.once("drain", () => {
        this.#congested = false;
        this.#connection?.drained();
      });
    }
    return false;
  }

  end(code: CloseCode, reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    super.close(code, closeReason(reason));
    this.#cutAfterDeadline();
  }

  turnTo(connection: Connection): void {
    if (this.#connection !== undefined) this.#connection = connection;
  }

  /**
   * The library closes by itself when the peer breaks the WebSocket protocol (1002), sends bad UTF-8 (1007) or a message
   * over the limit (1009). The core is told instead: it says why in a frame, then ends the session with a code of ours.
   */
  override close(code?: number, data?: string | Buffer): void {
    // Without a reason: the library's own. One that answers the peer's close frame repeats its reason.
    const own = data === undefined && !this.#ending;
    const violation = own ? violationOf(code, this.#host?.limits.maxFrameBytes ?? 0) : undefined;
    if (violation === undefined || this.#connection === undefined) {
      super.close(code, data);
      return;
    }
    // Nothing more can be read, so this ends even if the core should not end it.
    this.#cutAfterDeadline();
    this.#connection.malformed(violation, true);
  }

  received(data: RawData, isBinary: boolean): void {
    const connection = this.#connection;
    const host = this.#host;
    if (this.#ending || connection === undefined || host === undefined) return;
    this.#dialect ??= isBinary ? host.binary : host.json;
    const { codec } = this.#dialect;
    if (isBinary !== (codec.wire === "binary")) {
      const came = isBinary ? "a binary message" : "a text message";
      connection.malformed(TrunklineError.invalid("frame", `${came} on ${codec.subprotocol}`), true);
      return;
    }
    const bytes = bytesOf(data);
    const decoded = codec.wire === "binary" ? codec.decode(bytes) : codec.decode(bytes.toString("utf8"));
    if (decoded.ok) connection.receive(decoded.frame);
    else connection.malformed(decoded.error, decoded.undecodable, decoded.ref);
  }

  closed(code: number): void {
    this.#ending = true;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#connection?.gone(saysGone(code));
    this.#connection = undefined;
    this.#socket = undefined;
    this.#host?.gone(this);
  }

  #cutAfterDeadline(): void {
    this.#deadline ??= this.#host?.clock.after(CLOSE_DEADLINE_MS, () => this.terminate());
  }
}

// Listeners are shared by all connections: `this` tells which one.

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (this instanceof BridgeSocket) this.received(data, isBinary);
}

function onClose(this: WebSocket, code: number): void {
  if (this instanceof BridgeSocket) this.closed(code);
}

/** A broken connection is told by 'close', which follows. */
function onError(): void {}

function dialectNamed(host: SocketHost, subprotocol: string): Dialect | undefined {
  return [host.binary, host.json].find((dialect) => dialect.codec.subprotocol === subprotocol);
}

function writeAll(socket: Duplex, frames: readonly Uint8Array[]): void {
  const [first] = frames;
  if (frames.length === 1) {
    socket.write(first);
    return;
  }
  let bytes = 0;
  for (const frame of frames) bytes += frame.length;
  if (bytes <= CONCAT_BYTES) {
    if (bytes > 0) socket.write(Buffer.concat(frames, bytes));
    return;
  }
  socket.cork();
  for (const frame of frames) socket.write(frame);
  socket.uncork();
}

function violationOf(code: number | undefined, maxFrameBytes: number): TrunklineError | undefined {
  switch (code) {
    case 1002:
      return TrunklineError.invalid("frame", "not a valid WebSocket frame");
    case 1007:
      return TrunklineError.invalid("frame", "text that is not UTF-8");
    case 1008:
      return TrunklineError.invalid("frame", "too many fragments");
    case 1009:
      return TrunklineError.tooLarge("frame", maxFrameBytes);
    default:
      return undefined;
  }
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
