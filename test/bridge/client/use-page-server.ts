// The client as pages have it: one file, from a server of its own.

import { once } from "node:events";
import { createServer } from "node:http";
import { build } from "vite";
import { onTestFinished } from "vitest";

const HTML = '<!doctype html><meta charset="utf-8"><title>page</title>';

/** The client in one file. */
export async function bundleClient(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "chrome123",
      lib: { entry: "bridge/client/index.ts", formats: ["es"], fileName: "client" },
    },
  });
  const [first] = [built].flat();
  const [chunk] = first !== undefined && "output" in first ? first.output : [];
  if (chunk === undefined) throw new Error("nothing was built");
  return chunk.code;
}

/** Where the page comes from. */
export async function usePageServer(code: string): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === "/client.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? code : HTML);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}
