// A way to a server that can be cut under whoever goes through it, as when a process is killed: no last word of any protocol.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export class Tunnel {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Through it, `address` (host:port) is reached at `tunnel.address`. */
  static async to(address: string): Promise<Tunnel> {
    const [host, port] = address.split(":");
    const server = createServer();
    const tunnel = new Tunnel(server);
    server.on("connection", (near) => {
      const far = connect(Number(port), host ?? "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        tunnel.#sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          tunnel.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return tunnel;
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  }

  /** Ends every connection through it. New ones can be made. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
