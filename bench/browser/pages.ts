// The pages of a benchmark: bundled and minified as applications ship them, from a server of their own.

import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "vite";

/** The program of each, in bench/browser/page. */
export type PageName = "trunkline-binary" | "trunkline-json" | "trunkline-shared" | "socket-io" | "reconnect";

export interface Pages {
  readonly url: string;
  close(): void;
}

const HTML = '<!doctype html><meta charset="utf-8"><title>page</title><script type="module" src="/page.js"></script>';

/** Serves a page with this program. */
export async function servePage(name: PageName): Promise<Pages> {
  const scripts = await bundle(name);
  const server = createServer((request, response) => {
    const script = scripts.get(request.url ?? "");
    response.writeHead(200, { "content-type": script === undefined ? "text/html" : "text/javascript" });
    response.end(script ?? HTML);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The program's files by their paths, the first as /page.js. */
async function bundle(name: PageName): Promise<ReadonlyMap<string, string>> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    base: "./",
    build: {
      write: false,
      target: "chrome119",
      modulePreload: false,
      rolldownOptions: {
        // Of the same build: the compiler has written it.
        input: fileURLToPath(new URL(`./page/${name}.js`, import.meta.url)),
        output: { entryFileNames: "page.js", chunkFileNames: "[name]-[hash].js" },
      },
    },
  });
  const [first] = [built].flat();
  const output = first !== undefined && "output" in first ? first.output : [];
  return new Map(output.flatMap((file) => (file.type === "chunk" ? [[`/${file.fileName}`, file.code]] : [])));
}
