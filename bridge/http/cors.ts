// Cross-origin calls from listed origins.

import type { IncomingMessage, ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import { judgeOrigin } from "./origin.js";

/** How long a browser may remember a preflight's answer, in seconds. */
const PREFLIGHT_SECONDS = 2 * 60 * 60;

/** Beside those of the services: the token, and what a request of the fallback says of itself. */
const ALLOWED_HEADERS = [
  ...cors.allowedHeaders,
  "Authorization",
  "Trunkline-Session",
  "Trunkline-Batch",
  "Trunkline-Close",
].join(", ");

/** Writes the headers a listed origin needs; answers a preflight and returns true. */
export function serveCors(request: IncomingMessage, response: ServerResponse, allowed: ReadonlySet<string>): boolean {
  response.setHeader("vary", "Origin");
  const { origin } = request.headers;
  const listed = origin !== undefined && judgeOrigin(request, allowed) === "listed";
  if (listed) {
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-expose-headers", [...cors.exposedHeaders, "Retry-After"].join(", "));
  }
  if (request.method !== "OPTIONS") return false;
  if (listed) {
    response.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
    response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
    response.setHeader("access-control-max-age", PREFLIGHT_SECONDS);
  }
  response.writeHead(204).end();
  return true;
}
