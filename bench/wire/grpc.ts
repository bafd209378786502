// A gRPC bidi call over Node's own HTTP/2 client: cheaper than a gRPC library, because messages are handed over undecoded.

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";

const PREFIX_BYTES = 5;
const WINDOW_BYTES = 16 * 1024 * 1024;
const CONNECT_DEADLINE_MS = 60_000;

export interface GrpcCallOptions {
  readonly path: string;
  /** One message: the bytes of `buffer` from `start` to before `end`, valid during the call only. */
  readonly message: (buffer: Buffer, start: number, end: number) => void;
  /** The call is over; not called after `destroy`. */
  readonly closed: (reason: string) => void;
}

export interface RawGrpcCall {
  /** Sends bytes made by `grpcMessageOf`. */
  write(message: Buffer): void;
  cork(): void;
  destroy(): void;
}

/** One HTTP/2 connection, for many calls. */
export function connectHttp2(port: number): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: WINDOW_BYTES } });
    const deadline = setTimeout(() => session.destroy(new Error("no HTTP/2 settings in time")), CONNECT_DEADLINE_MS);
    session.once("error", reject);
    session.once("remoteSettings", () => {
      clearTimeout(deadline);
      session.setLocalWindowSize(WINDOW_BYTES);
      session.on("error", () => session.destroy());
      resolve(session);
    });
  });
}

/** Starts a bidi call. */
export function startGrpcCall(session: ClientHttp2Session, options: GrpcCallOptions): RawGrpcCall {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: options.path,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
  });
  let over = false;
  /** Of a message that has not come whole: its pieces, and their bytes together. */
  const pieces: Buffer[] = [];
  let held = 0;
  let status = "";

  stream.on("data", (chunk: Buffer) => {
    try {
      received(chunk);
    } catch (error) {
      end(error instanceof Error ? error.message : String(error));
      stream.close(constants.NGHTTP2_CANCEL);
    }
  });
  stream.on("response", (headers) => {
    if (headers["grpc-status"] !== undefined) status = `${headers["grpc-status"]} ${headers["grpc-message"] ?? ""}`;
  });
  stream.on("trailers", (headers) => {
    status = `${headers["grpc-status"]} ${headers["grpc-message"] ?? ""}`;
  });
  stream.on("error", (error) => end(error.message));
  stream.on("close", () => end(`status ${status}`));

  function received(chunk: Buffer): void {
    if (held > 0) {
      pieces.push(chunk);
      held += chunk.length;
      if (held < PREFIX_BYTES || held < PREFIX_BYTES + joined(pieces, PREFIX_BYTES).readUInt32BE(1)) return;
    }
    const buffer = held > 0 ? joined(pieces, held) : chunk;
    let at = 0;
    while (at + PREFIX_BYTES <= buffer.length && !over) {
      const end = at + PREFIX_BYTES + buffer.readUInt32BE(at + 1);
      if (end > buffer.length) break;
      options.message(buffer, at + PREFIX_BYTES, end);
      at = end;
    }
    if (over) return;
    pieces.length = 0;
    held = buffer.length - at;
    // It came with this chunk, whatever was joined: the piece before it was of a message that is whole now.
    if (held > 0) pieces.push(chunk.subarray(chunk.length - held));
  }

  function end(reason: string): void {
    if (over) return;
    over = true;
    options.closed(reason);
  }

  return createCall(stream, () => {
    over = true;
  });
}

let scratch = Buffer.allocUnsafe(64 * 1024);

/** The first `bytes` of the pieces, until the next call: one buffer for all calls, or joining is half of what a generator does. */
function joined(pieces: readonly Buffer[], bytes: number): Buffer {
  const [first] = pieces;
  if (first !== undefined && first.length >= bytes) return first.subarray(0, bytes);
  if (scratch.length < bytes) scratch = Buffer.allocUnsafe(2 * bytes);
  let at = 0;
  for (const piece of pieces) at += piece.copy(scratch, at, 0, bytes - at);
  return scratch.subarray(0, bytes);
}

/** A message with its gRPC prefix. */
export function grpcMessageOf(payload: Uint8Array): Buffer {
  const out = Buffer.alloc(PREFIX_BYTES + payload.length);
  out.writeUInt32BE(payload.length, 1);
  out.set(payload, PREFIX_BYTES);
  return out;
}

function createCall(stream: ClientHttp2Stream, onDestroy: () => void): RawGrpcCall {
  let corked = false;
  return {
    write(message) {
      stream.write(message);
    },
    cork() {
      if (corked) return;
      corked = true;
      stream.cork();
      process.nextTick(() => {
        corked = false;
        stream.uncork();
      });
    },
    destroy() {
      onDestroy();
      stream.close(constants.NGHTTP2_CANCEL);
    },
  };
}
