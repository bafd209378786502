// From a request for `/v1/connect` to an open WebSocket, or to a refusal that has cost next to nothing.

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { SessionPort } from "../../src/core/session/port.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { BridgeSocket, type SocketHost } from "../transport/websocket.js";
import { judgeOrigin } from "./origin.js";
import { errorBody, retryAfterSeconds } from "./reply.js";

export const CONNECT_PATH = "/v1/connect";

/** When to come back to a bridge that holds as many connections as it may, in milliseconds. */
const FULL_RETRY_MS = 5_000;

export interface UpgradeDependencies {
  readonly sessions: SessionPort;
  readonly telemetry: Telemetry;
  readonly host: SocketHost;
  readonly allowedOrigins: ReadonlySet<string>;
  /** How many more connections may be open. */
  readonly places: () => number;
  /** Connections open now; upgrades add to it. */
  readonly sockets: Set<BridgeSocket>;
  /** Those whose turn to be upgraded has not come. */
  readonly held: Set<Duplex>;
}

interface Refusal {
  readonly status: number;
  readonly error: TrunklineError;
}

/** The listener of the HTTP server's 'upgrade'. */
export function upgradeListener(
  dependencies: UpgradeDependencies,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const { sessions, telemetry, host, sockets, held } = dependencies;
  const subprotocols = new Set([host.binary.codec.subprotocol, host.json.codec.subprotocol]);
  const server = new WebSocketServer<typeof BridgeSocket>({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    handleProtocols: (offered) => [...offered].find((name) => subprotocols.has(name)) ?? false,
    WebSocket: BridgeSocket,
  });

  const turnDown = (socket: Duplex, refusal: Refusal): void => {
    telemetry.emit("session.refused", {
      transport: "websocket",
      code: refusal.status,
      reason: refusal.error.message,
    });
    refuse(socket, refusal);
  };
  const open = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const address = request.socket.remoteAddress ?? "";
    server.options.maxPayload = host.limits.maxFrameBytes;
    server.handleUpgrade(request, socket, head, (opened) => {
      sockets.add(opened);
      opened.begin(host, socket, (sink) => sessions.accept(sink, { transport: "websocket", address }));
    });
    // From here on the library listens.
    socket.off("error", ignore);
  };

  return (request, socket, head) => {
    socket.on("error", ignore);
    const refusal = judge(request, dependencies, subprotocols);
    if (refusal !== undefined) {
      turnDown(socket, refusal);
      return;
    }
    let answered = false;
    const leave = sessions.enter((admission) => {
      answered = true;
      if (held.delete(socket)) socket.off("end", gone).off("close", gone);
      if (admission.admitted) open(request, socket, head);
      else turnDown(socket, unavailable("no new connections now", admission.retryAfterMs));
    });
    if (answered) return;
    // Nobody reads from it: that its peer has gone is told nevertheless.
    const gone = (): void => {
      held.delete(socket);
      leave();
      socket.destroy();
    };
    held.add(socket);
    socket.once("end", gone).once("close", gone);
  };
}

function judge(
  request: IncomingMessage,
  { allowedOrigins, places }: UpgradeDependencies,
  subprotocols: ReadonlySet<string>,
): Refusal | undefined {
  if (pathOf(request) !== CONNECT_PATH) {
    return { status: 404, error: new TrunklineError(ErrorCode.NOT_FOUND, `WebSocket is at ${CONNECT_PATH}`) };
  }
  if (judgeOrigin(request, allowedOrigins) === "foreign") {
    return { status: 403, error: new TrunklineError(ErrorCode.PERMISSION_DENIED, "this origin is not allowed") };
  }
  const offered = request.headers["sec-websocket-protocol"];
  if (offered !== undefined && !offered.split(",").some((name) => subprotocols.has(name.trim()))) {
    const known = [...subprotocols].join(", ");
    return { status: 400, error: TrunklineError.invalid("Sec-WebSocket-Protocol", `one of ${known} is expected`) };
  }
  return places() > 0 ? undefined : unavailable("no more connections here now", FULL_RETRY_MS);
}

function unavailable(message: string, retryAfterMs: number): Refusal {
  return { status: 503, error: new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs }) };
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split("?", 1)[0] ?? "";
}

function refuse(socket: Duplex, { status, error }: Refusal): void {
  const body = `${JSON.stringify(errorBody(error))}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(error.retryAfterMs === undefined ? [] : [`Retry-After: ${retryAfterSeconds(error.retryAfterMs)}`]),
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** A socket that breaks before it is a WebSocket concerns nobody. */
function ignore(): void {}
