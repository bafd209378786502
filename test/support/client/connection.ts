// One connection of the test client, whatever it speaks. Shares no code with the server.

import { contentOf, type Frame, type Inbox, type JsonObject, kindOf } from "./inbox.js";

export const TRANSPORTS = ["grpc", "websocket-binary", "websocket-json", "events"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Where a server listens. */
export interface Endpoints {
  /** host:port of the gRPC server. */
  readonly grpc: string;
  /** URL of the WebSocket, e.g. ws://127.0.0.1:8080/v1/connect. */
  readonly ws: string;
  /** Base URL of the HTTP server, for Connect's JSON and for events. */
  readonly http: string;
  /** Base URL that frames are posted to, where that is not the stream's. */
  readonly frames?: string;
}

export interface ConnectOptions {
  /** Shown when a test fails. */
  readonly label?: string;
  /** A token in the transport's own place: gRPC metadata. */
  readonly token?: string;
  /** Takes every frame instead of the inbox: for clients that get more than a test wants to keep. */
  readonly onFrame?: (frame: Frame) => void;
  /** Do not answer the server's pings. */
  readonly mute?: boolean;
}

/** What a transport has to do. */
export interface Wire {
  send(frame: JsonObject): void;
  /** Bytes (or, where the wire knows text, text) as one message, valid or not. */
  sendRaw(data: Uint8Array | string): void;
  /** Says goodbye in the transport's own way. */
  close(): void;
  /** Cuts the connection without a word. */
  destroy(): void;
  /** Stops reading from, or goes on reading, the socket. */
  pause(): void;
  resume(): void;
}

export class Connection {
  readonly inbox: Inbox;
  readonly #wire: Wire;
  #ref = 0;

  constructor(wire: Wire, inbox: Inbox) {
    this.#wire = wire;
    this.inbox = inbox;
  }

  /** Sends a frame with the ref it holds. */
  send(frame: JsonObject): void {
    this.#wire.send(frame);
  }

  /** Sends a frame under a fresh ref and waits for its one reply. */
  request(frame: JsonObject, patienceMs?: number): Promise<Frame> {
    const ref = ++this.#ref;
    this.send({ ref, ...frame });
    return this.inbox.take((reply) => reply.replyTo === ref, `a reply to ${kindOf(frame)}`, patienceMs);
  }

  /** A ref that no request of this connection uses. */
  nextRef(): number {
    return ++this.#ref;
  }

  /** The oldest unread frame of a kind. */
  next(kind: string, match: (content: JsonObject) => boolean = () => true): Promise<Frame> {
    return this.inbox.take((frame) => kindOf(frame) === kind && match(contentOf(frame)), kind);
  }

  sendRaw(data: Uint8Array | string): void {
    this.#wire.sendRaw(data);
  }

  close(): void {
    this.#wire.close();
  }

  destroy(): void {
    this.#wire.destroy();
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }
}

/** What a wire does with a frame it has read: answers pings, hands on the rest. */
export function receiver(inbox: Inbox, options: ConnectOptions, send: (frame: JsonObject) => void) {
  return (frame: Frame): void => {
    if (kindOf(frame) === "ping" && options.mute !== true) {
      inbox.all.push(frame);
      send({ pong: { id: contentOf(frame).id ?? 0 } });
    } else if (options.onFrame === undefined) inbox.push(frame);
    else options.onFrame(frame);
  };
}
