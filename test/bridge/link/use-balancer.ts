// What stands before several bridges and sends each request to the next of them: nothing is sticky, and no WebSocket gets through.

import { once } from "node:events";
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";

export interface Balancer {
  readonly url: string;
  /** Of the fallback's requests that were answered, those that came to another bridge than the session's stream. */
  readonly passed: number;
}

/** @param urls Of the bridges; one that does not listen is passed over. */
export async function useBalancer(urls: readonly string[]): Promise<Balancer> {
  let turn = 0;
  let passed = 0;
  /** Where the stream of each key is. */
  const streams = new Map<string, string>();

  const forward = (incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer, tries: number): void => {
    const target = urls[turn++ % urls.length] ?? "";
    const { hostname, port } = new URL(target);
    const { method, headers, url: path } = incoming;
    const request = ask({ hostname, port, method, headers, path, agent: false });
    request.once("response", (answer) => {
      request.off("error", onError).on("error", () => outgoing.destroy());
      const key = `${headers["trunkline-session"]}`;
      if (path === "/v1/frames" && answer.statusCode === 204 && streams.get(key) !== target) passed++;
      if (path === "/v1/events") {
        answer.once("data", (first: Buffer) => {
          const [, session = ""] = /"session":"([^"]+)"/.exec(first.toString()) ?? [];
          streams.set(session, target);
        });
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on("error", () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    const onError = (): void => {
      // Nothing was answered. Whether it came is not known: the client sends it again under its number.
      if (tries > 1) forward(incoming, outgoing, body, tries - 1);
      else outgoing.destroy();
    };
    request.on("error", onError);
    outgoing.on("close", () => request.destroy());
    request.end(body);
  };

  const server = createServer((incoming, outgoing) => {
    outgoing.on("error", () => {});
    buffer(incoming).then(
      (body) => forward(incoming, outgoing, body, urls.length),
      () => outgoing.destroy(),
    );
  });
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    get passed() {
      return passed;
    },
  };
}
