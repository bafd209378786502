// The TCP side of a gRPC server. grpc-js is given its connections, because it does not bound how many there are and, with
// channelz off, does not remember them: its `forceShutdown` leaves every connection open.

import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { ConnectionInjector } from "@grpc/grpc-js";

/** Connections that the kernel holds until they are accepted: everybody comes back at once after an outage. */
const BACKLOG = 2_048;

export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  /** Accepts no more, and closes what has not said a word. Resolves when the last connection is closed. */
  stop(): Promise<void>;
  /** Closes what is still open. */
  destroy(): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
}

type Injector = Pick<ConnectionInjector, "injectConnection">;

/** Rejects with the system's error when the address cannot be had. `onFault` is told of errors after that. */
export async function listen(
  options: ListenOptions,
  injector: Injector,
  onFault: (cause: unknown) => void,
): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A reset before the HTTP/2 session or TLS has its own listener must not end the process.
    socket.on("error", () => socket.destroy());
    injector.injectConnection(socket);
  });
  server.maxConnections = options.maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
      server.off("error", reject);
      // A connection that could not be accepted must not end the process.
      server.on("error", onFault);
      resolve();
    });
  });
  const closed = new Promise((resolve) => server.once("close", resolve)).then(async () => {
    // Its connections are destroyed by then, but some have yet to say so.
    await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
  });

  return {
    ...boundTo(server),
    get connections() {
      return sockets.size;
    },
    stop() {
      server.close();
      // No GOAWAY reaches what waits for its TLS handshake: a load balancer's probe would hold up the end until the deadline.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      return closed;
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function boundTo(server: NetServer): { address: string; port: number } {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the gRPC server is not bound to a TCP port");
  return { address: bound.address, port: bound.port };
}
