// A client of the peers `ws` and `socket.io`.
//
// Socket.IO's packets: https://socket.io/docs/v4/engine-io-protocol/ (0 open, 2 ping, 3 pong, 4 message) and
// https://socket.io/docs/v4/socket-io-protocol/ (0 connect, 2 event), each a character at the start of a text message.

import type { PeerTarget } from "../target.js";
import { connectWebSocket, frameOf, type RawWebSocket } from "../wire/websocket.js";

export interface PeerOptions {
  /** The room to be in; none: only publishes. */
  readonly room?: string;
  readonly readBuffer: Buffer;
  readonly localAddress?: string;
  /** A message of a room. Bytes are valid during the call only. */
  readonly message: (buffer: Buffer, start: number, end: number) => void;
  readonly closed: (reason: string) => void;
}

export interface PeerClient {
  publish(room: string, text: string): void;
  destroy(): void;
}

/** Connects; resolves when the client is in its room. */
export function connectPeer(target: PeerTarget, options: PeerOptions): Promise<PeerClient> {
  return target.kind === "ws" ? connectWs(target, options) : connectSocketIo(target, options);
}

async function connectWs(target: PeerTarget, options: PeerOptions): Promise<PeerClient> {
  const socket = await connectWebSocket({
    ...options,
    port: target.port,
    path: options.room === undefined ? "/" : `/?room=${options.room}`,
  });
  return {
    publish: (room, text) => socket.write(frameOf(JSON.stringify({ room, text }))),
    destroy: socket.destroy,
  };
}

const MESSAGE = "4".charCodeAt(0);
const PING = "2".charCodeAt(0);
const CONNECT = "0".charCodeAt(0);
const EVENT = "2".charCodeAt(0);

async function connectSocketIo(target: PeerTarget, options: PeerOptions): Promise<PeerClient> {
  const joined = Promise.withResolvers<void>();
  const query = options.room === undefined ? "" : `&room=${options.room}`;
  const socket: RawWebSocket = await connectWebSocket({
    ...options,
    port: target.port,
    path: `/socket.io/?EIO=4&transport=websocket${query}`,
    message(buffer, start, end) {
      if (buffer[start] === MESSAGE && buffer[start + 1] === EVENT) options.message(buffer, start, end);
      else if (buffer[start] === MESSAGE && buffer[start + 1] === CONNECT) joined.resolve();
      else if (buffer[start] === PING) socket.write(frameOf("3"));
    },
    closed(reason) {
      joined.reject(new Error(reason));
      options.closed(reason);
    },
  });
  socket.write(frameOf("40"));
  await joined.promise;
  return {
    publish: (room, text) => socket.write(frameOf(`42${JSON.stringify(["publish", room, text])}`)),
    destroy: socket.destroy,
  };
}
