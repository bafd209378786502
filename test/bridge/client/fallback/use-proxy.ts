// A way to a server as a network has it that lets no WebSocket through.

import { once } from "node:events";
import { request as ask, type ClientRequest, createServer, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface Proxy {
  readonly url: string;
  /** Lets WebSockets through from now on, or no more. Those that are open stay. */
  opens: boolean;
  /** WebSockets that were refused, and streams of events that were begun. */
  readonly refused: number;
  readonly streams: number;
  /** What sessions were closed with by requests that were answered. */
  readonly closes: readonly string[];
  /** Requests that are answered by the server and whose answers get lost; counted down. */
  losing: number;
  /** Cuts everything that is open. */
  cut(): void;
}

/** @param url Of the server. */
export async function useProxy(url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const asked = new Set<ClientRequest>();
  const closes: string[] = [];
  let refused = 0;
  let streams = 0;
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === "/v1/events") streams++;
    const { method, headers, url: path } = incoming;
    const passed = ask({ hostname, port, method, headers, path });
    asked.add(passed);
    passed.on("error", () => outgoing.destroy());
    passed.on("close", () => asked.delete(passed));
    passed.on("response", (answer: IncomingMessage) => {
      if (path === "/v1/frames" && proxy.losing > 0) {
        proxy.losing--;
        answer.resume();
        outgoing.destroy();
        return;
      }
      if (answer.statusCode === 204) closes.push(...[headers["trunkline-close"] ?? []].flat());
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on("error", () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    outgoing.on("close", () => passed.destroy());
    incoming.on("error", () => passed.destroy());
    incoming.pipe(passed);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("upgrade", (incoming: IncomingMessage, near: Socket, head: Buffer) => {
    if (!proxy.opens) {
      refused++;
      near.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const far = connect(Number(port), hostname);
    const lines = incoming.rawHeaders.map((part, index) => (index % 2 === 0 ? `${part}: ` : `${part}\r\n`));
    far.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
    far.write(head);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    for (const each of asked) each.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  const address = server.address();
  const proxy = {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    opens: false,
    losing: 0,
    closes,
    get refused() {
      return refused;
    },
    get streams() {
      return streams;
    },
    cut,
  };
  return proxy;
}
