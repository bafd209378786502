// The HTTP server's connections, so that a bridge that leaves waits for those that carry an answer and for no others: browsers and
// load balancers open some in advance, and Node's own `closeIdleConnections` takes one that has not sent a request yet for a busy one.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

interface OpenConnection {
  readonly socket: Socket;
  readonly forget: () => void;
}

/** Knows a server's connections until they close or become WebSockets, which keep nothing here. */
export class OpenConnections {
  /** By peer: behind TLS, the socket that was accepted is not the one that requests name. */
  readonly #connections = new Map<string, OpenConnection>();
  readonly #answers = new Set<ServerResponse<IncomingMessage>>();
  #leaving = false;

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => this.#opened(socket));
    server.on("upgrade", (request: IncomingMessage) => this.#upgraded(request.socket));
    server.on("request", (request: IncomingMessage, response: ServerResponse<IncomingMessage>) => {
      this.#answers.add(response);
      response.once("close", () => this.#answered(response, request.socket));
    });
  }

  /** Closes what carries no answer, now, and the others once they have been answered. */
  leave(): void {
    this.#leaving = true;
    const answering = new Set<string>();
    for (const response of this.#answers) {
      answering.add(peerOf(response.req.socket));
      if (!response.headersSent) response.setHeader("connection", "close");
    }
    for (const [peer, { socket }] of this.#connections) if (!answering.has(peer)) socket.destroy();
  }

  /** Closes all of them, whatever they carry. */
  cut(): void {
    for (const { socket } of this.#connections.values()) socket.destroy();
  }

  #opened(socket: Socket): void {
    const peer = peerOf(socket);
    const forget = () => this.#connections.delete(peer);
    this.#connections.set(peer, { socket, forget });
    socket.once("close", forget);
  }

  #upgraded(socket: Socket): void {
    const peer = peerOf(socket);
    const connection = this.#connections.get(peer);
    connection?.socket.off("close", connection.forget);
    this.#connections.delete(peer);
  }

  #answered(response: ServerResponse<IncomingMessage>, socket: Socket): void {
    this.#answers.delete(response);
    if (!this.#leaving) return;
    for (const { req } of this.#answers) if (req.socket === socket) return;
    socket.destroySoon();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
