// The page: a handful of static files, read once, served with headers that let it load nothing from elsewhere.

import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  [".html", "text/html; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".svg", "image/svg+xml"],
  [".map", "application/json"],
]);
/** What lies here has a name of its content: it never changes. */
const ASSETS = "/assets/";
const FOR_A_YEAR = "public, max-age=31536000, immutable";

/** Whether who asks takes gzip. Refusing it by name is `q=0` (RFC 9110, section 12.4.2). */
const TAKES_GZIP = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;

/** A host as a browser writes it: nothing that could end a directive of the policy. */
const PLAIN_HOST = /^[A-Za-z0-9.-]+(?::\d+)?$|^\[[0-9A-Fa-f:.]+\](?::\d+)?$/;

interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
  readonly caching: string;
}

export interface Page {
  /** True if the path was one of the page's. */
  serve(path: string, request: IncomingMessage, response: ServerResponse): boolean;
}

/** Reads the page's files. Rejects where the directory holds no index.html. */
export async function loadPage(directory: string): Promise<Page> {
  const files = new Map<string, PageFile>();
  const read = async (folder: string, caching: string): Promise<readonly Dirent[]> => {
    const entries = await readdir(join(directory, folder), { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isFile())) {
      const type = MEDIA_TYPES.get(extname(name));
      if (type === undefined) continue;
      const bytes = await readFile(join(directory, folder, name));
      files.set(folder + name, { type, caching, bytes, gzipped: await promisify(gzip)(bytes) });
    }
    return entries;
  };
  const top = await read("/", "no-cache");
  const index = files.get("/index.html");
  if (index === undefined) throw new Error(`no index.html in ${directory}: has the page been built?`);
  files.set("/", index);
  if (top.some((entry) => entry.isDirectory() && `/${entry.name}/` === ASSETS)) await read(ASSETS, FOR_A_YEAR);

  return {
    serve(path, request, response) {
      const file = files.get(path);
      if (file === undefined || (request.method !== "GET" && request.method !== "HEAD")) return false;
      // Nothing in them is secret, so that their length may say what is in them.
      const packed = TAKES_GZIP.test(String(request.headers["accept-encoding"] ?? ""));
      const bytes = packed ? file.gzipped : file.bytes;
      response.writeHead(200, {
        "content-type": file.type,
        "content-length": bytes.length,
        ...(packed && { "content-encoding": "gzip" }),
        vary: "accept-encoding",
        "cache-control": file.caching,
        "content-security-policy": contentSecurityPolicy(request.headers.host ?? ""),
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
      });
      response.end(request.method === "HEAD" ? undefined : bytes);
      return true;
    },
  };
}

function contentSecurityPolicy(host: string): string {
  // Some browsers do not take 'self' to cover WebSocket.
  const sockets = PLAIN_HOST.test(host) ? ` ws://${host} wss://${host}` : "";
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self'${sockets}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
