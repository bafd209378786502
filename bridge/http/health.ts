// `/health/live` and `/health/ready`, for load balancers and for people with curl.

import type { ServerResponse } from "node:http";
import { replyJson } from "./reply.js";

export interface Readiness {
  /** What keeps the bridge from taking connections; empty: it is ready. */
  readonly reasons: readonly string[];
  /** What does not work as it should while it is ready; not shown where there is nothing. */
  readonly limits: readonly string[];
}

/** True if the path was one of health's. */
export function serveHealth(path: string, response: ServerResponse, readiness: Readiness): boolean {
  if (path === "/health/live") {
    replyJson(response, 200, { live: true });
    return true;
  }
  if (path === "/health/ready") {
    const { reasons, limits } = readiness;
    const ready = reasons.length === 0;
    replyJson(response, ready ? 200 : 503, { ready, reasons, ...(limits.length > 0 && { limits }) });
    return true;
  }
  return false;
}
