// Connect's handlers on Node's HTTP server. The library's own adapter prints to the console whatever goes wrong, a client that has gone
// too, and fails on a `Host` that is none.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Telemetry } from "../../src/core/telemetry.js";
import { TrunklineError } from "../../src/ports/error.js";
import { errorBody, replyJson } from "./reply.js";

/** Answers requests for the router's methods; others with 404. */
export function serveHandlers(
  router: ConnectRouter,
  telemetry: Telemetry,
): (request: IncomingMessage, response: ServerResponse) => void {
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) {
      replyJson(response, 404, { code: "NOT_FOUND", message: "there is no such method" });
      return;
    }
    if (!URL.canParse(`http://${request.headers.host ?? ""}`)) {
      replyJson(response, 400, errorBody(TrunklineError.invalid("host", "a host is expected")));
      return;
    }
    // Nothing may happen for hours of which a stream could tell.
    if (handler.method.methodKind === "server_streaming") request.socket.setTimeout(0);
    handler(universalRequestFromNodeRequest(request, response, undefined, undefined))
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((cause: unknown) => {
        if (!request.socket.destroyed) telemetry.emit("fault", { where: "bridge.calls", cause });
        response.destroy();
      });
  };
}
