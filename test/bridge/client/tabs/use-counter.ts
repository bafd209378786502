// A way to a server that counts the connections of sessions, and cuts them.

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface Counter {
  readonly url: string;
  /** WebSockets that are open now. */
  readonly open: number;
  /** And that ever were. */
  readonly opened: number;
  cut(): void;
}

/** @param url Of the server. */
export async function useCounter(url: string): Promise<Counter> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const sessions = new Set<Socket>();
  let opened = 0;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    near.once("data", (first) => {
      if (!first.toString("latin1").startsWith("GET /v1/connect")) return;
      sessions.add(near);
      opened++;
    });
    near.on("close", () => sessions.delete(near));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    server.close();
    cut();
  });
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    get open() {
      return sessions.size;
    },
    get opened() {
      return opened;
    },
    cut,
  };
}
