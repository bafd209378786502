// Which request goes where.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Telemetry } from "../../src/core/telemetry.js";
import type { CallRoute } from "./calls.js";
import { serveCors } from "./cors.js";
import { DEV_TOKEN_PATH, serveDevToken, type TokenIssuer } from "./dev-token.js";
import type { Fallback } from "./frames.js";
import { type Readiness, serveHealth } from "./health.js";
import type { Page } from "./page.js";
import { replyJson } from "./reply.js";
import { CONNECT_PATH } from "./upgrade.js";

export interface RouteDependencies {
  readonly telemetry: Telemetry;
  readonly allowedOrigins: ReadonlySet<string>;
  /** The services of the contract. */
  readonly calls: readonly CallRoute[];
  readonly fallback: Fallback;
  readonly readiness: () => Readiness;
  readonly page: Page | undefined;
  readonly issueToken: TokenIssuer | undefined;
}

/** The listener of the HTTP server's 'request'. */
export function requestListener(
  dependencies: RouteDependencies,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    // A client that vanishes while it is answered is told by 'close'.
    response.on("error", () => {});
    try {
      route(request, response, dependencies);
    } catch (cause) {
      dependencies.telemetry.emit("fault", { where: "bridge.request", cause });
      if (response.headersSent) response.destroy();
      else replyJson(response, 500, { code: "INTERNAL", message: "internal error" });
    }
  };
}

function route(request: IncomingMessage, response: ServerResponse, dependencies: RouteDependencies): void {
  const path = request.url?.split("?", 1)[0] ?? "";
  const { allowedOrigins, calls, fallback, readiness, page, issueToken } = dependencies;
  if (serveHealth(path, response, readiness())) return;
  if (fallback(path, request, response)) return;
  const called = calls.find((route) => path.startsWith(route.path));
  if (called !== undefined) {
    if (!serveCors(request, response, allowedOrigins)) called.serve(request, response);
  } else if (path === CONNECT_PATH) {
    response.setHeader("upgrade", "websocket");
    replyJson(response, 426, { code: "INVALID_ARGUMENT", message: "a WebSocket upgrade is expected" });
  } else if (path === DEV_TOKEN_PATH && issueToken !== undefined) {
    void serveDevToken(request, response, issueToken);
  } else if (page === undefined || !page.serve(path, request, response)) {
    replyJson(response, 404, { code: "NOT_FOUND", message: "there is nothing here" });
  }
}
