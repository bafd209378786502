// A WebSocket client that costs as little as one can in Node: raw sockets, one read buffer for all of them, messages handed
// over in place. It knows what a benchmark meets (unfragmented messages, ping, close) and fails loudly on anything else.

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

const OPCODE_CONTINUATION = 0;
const OPCODE_TEXT = 1;
const OPCODE_BINARY = 2;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;
const FIN = 0x80;
const MASKED = 0x80;
const CONNECT_DEADLINE_MS = 60_000;

/** Large enough for whatever one read returns; shared, because a read is handled before the next one starts. */
export function createReadBuffer(): Buffer {
  return Buffer.allocUnsafe(256 * 1024);
}

export interface WebSocketOptions {
  readonly port: number;
  readonly path: string;
  readonly subprotocol?: string;
  /** The source address: ports run out at about 28,000 connections from one. */
  readonly localAddress?: string;
  readonly readBuffer: Buffer;
  /** One message: the bytes of `buffer` from `start` to before `end`, valid during the call only. */
  readonly message: (buffer: Buffer, start: number, end: number) => void;
  /** The connection is gone; not called after `destroy`. */
  readonly closed: (reason: string) => void;
}

export interface RawWebSocket {
  /** Sends bytes made by `frameOf`. */
  write(frame: Buffer): void;
  /** Collects what is written until the end of this turn of the event loop into one write. */
  cork(): void;
  /** Cuts the connection without a word. */
  destroy(): void;
}

/** Connects and completes the upgrade. */
export function connectWebSocket(options: WebSocketOptions): Promise<RawWebSocket> {
  return new Promise((resolve, reject) => {
    let open = false;
    let destroyed = false;
    let rest: Buffer | undefined;
    const socket = connect({
      host: "127.0.0.1",
      port: options.port,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
      noDelay: true,
      onread: {
        buffer: options.readBuffer,
        callback(length, buffer) {
          try {
            received(Buffer.isBuffer(buffer) ? buffer : Buffer.from(buffer.buffer), length);
          } catch (error) {
            fail(error instanceof Error ? error.message : String(error));
          }
          return !destroyed;
        },
      },
    });
    const deadline = setTimeout(() => fail("no upgrade in time"), CONNECT_DEADLINE_MS);
    const client = createClient(socket, () => {
      destroyed = true;
    });

    socket.on("connect", () => socket.write(upgradeRequest(options)));
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail("closed by the server"));

    function fail(reason: string): void {
      clearTimeout(deadline);
      if (destroyed) return;
      destroyed = true;
      socket.destroy();
      if (open) options.closed(reason);
      else reject(new Error(`WebSocket connection failed: ${reason}`));
    }

    function received(chunk: Buffer, length: number): void {
      let buffer = chunk;
      let end = length;
      if (rest !== undefined) {
        buffer = Buffer.concat([rest, chunk.subarray(0, length)]);
        end = buffer.length;
        rest = undefined;
      }
      let at = 0;
      if (!open) {
        const head = buffer.subarray(0, end).indexOf("\r\n\r\n");
        if (head < 0) {
          rest = Buffer.from(buffer.subarray(0, end));
          return;
        }
        const status = buffer.toString("latin1", 0, Math.min(head, 12));
        if (status !== "HTTP/1.1 101") throw new Error(`the upgrade was refused: ${buffer.toString("latin1", 0, end)}`);
        open = true;
        clearTimeout(deadline);
        at = head + 4;
        resolve(client);
      }
      at = messages(buffer, at, end);
      // A copy: the read buffer is used again by the next read of any connection.
      if (at < end && !destroyed) rest = Buffer.from(buffer.subarray(at, end));
    }

    /** Hands over the whole messages between `from` and `end`; returns where the first incomplete one starts. */
    function messages(buffer: Buffer, from: number, end: number): number {
      let at = from;
      while (at + 2 <= end && !destroyed) {
        const first = buffer[at] ?? 0;
        let length = (buffer[at + 1] ?? 0) & 0x7f;
        let header = 2;
        if (length === 126) {
          if (at + 4 > end) break;
          length = buffer.readUInt16BE(at + 2);
          header = 4;
        } else if (length === 127) {
          if (at + 10 > end) break;
          length = buffer.readUInt32BE(at + 6);
          header = 10;
        }
        const start = at + header;
        if (start + length > end) break;
        at = start + length;
        message(first, buffer, start, at);
      }
      return at;
    }

    function message(first: number, buffer: Buffer, start: number, end: number): void {
      const opcode = first & 0x0f;
      if ((first & FIN) === 0 || opcode === OPCODE_CONTINUATION) throw new Error("a fragmented message came");
      if (opcode === OPCODE_BINARY || opcode === OPCODE_TEXT) options.message(buffer, start, end);
      else if (opcode === OPCODE_PING) client.write(frame(OPCODE_PONG, buffer.subarray(start, end)));
      else if (opcode === OPCODE_CLOSE) {
        const code = end - start >= 2 ? buffer.readUInt16BE(start) : 1005;
        fail(`close ${code} ${buffer.toString("utf8", Math.min(start + 2, end), end)}`);
      }
    }
  });
}

/** A message as a client sends it. Masked with zeros: the bytes stay as they are. */
export function frameOf(payload: Uint8Array | string): Buffer {
  return typeof payload === "string" ? frame(OPCODE_TEXT, Buffer.from(payload)) : frame(OPCODE_BINARY, payload);
}

function frame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + extended + 4;
  const out = Buffer.alloc(start + length);
  out[0] = FIN | opcode;
  out[1] = MASKED | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) out.writeUInt16BE(length, 2);
  else if (extended === 8) out.writeUInt32BE(length, 6);
  out.set(payload, start);
  return out;
}

function upgradeRequest(options: WebSocketOptions): string {
  return [
    `GET ${options.path} HTTP/1.1`,
    `Host: 127.0.0.1:${options.port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    ...(options.subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${options.subprotocol}`]),
    "",
    "",
  ].join("\r\n");
}

function createClient(socket: Socket, onDestroy: () => void): RawWebSocket {
  let corked = false;
  return {
    write(bytes) {
      socket.write(bytes);
    },
    cork() {
      if (corked) return;
      corked = true;
      socket.cork();
      process.nextTick(() => {
        corked = false;
        socket.uncork();
      });
    },
    destroy() {
      onDestroy();
      socket.destroy();
    },
  };
}
