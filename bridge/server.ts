// The bridge: one HTTP server for WebSocket sessions, the services of the contract, health and the page.

import { createServer as createPlainServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { roomCalls } from "../src/core/room/room-calls.js";
import { DeliveryService } from "../src/gen/trunkline/v1/delivery_pb.js";
import { CloseCode } from "../src/gen/trunkline/v1/error_pb.js";
import { PresenceService } from "../src/gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../src/gen/trunkline/v1/room_pb.js";
import type { Clock } from "../src/ports/clock.js";
import { binaryCodec } from "./codec/binary.js";
import { createJsonCodec } from "./codec/json.js";
import { callRoute } from "./http/calls.js";
import { EventStreams } from "./http/event-streams.js";
import { fallback } from "./http/frames.js";
import { OpenConnections } from "./http/open-connections.js";
import { loadPage } from "./http/page.js";
import { requestListener } from "./http/routes.js";
import { upgradeListener } from "./http/upgrade.js";
import { type Bridge, type BridgeOptions, DEFAULT_HOST, DEFAULT_MAX_CONNECTIONS, DEFAULT_PORT } from "./options.js";
import { dialectOf } from "./transport/encoding.js";
import { eventEncoding } from "./transport/event-frames.js";
import type { BridgeSocket, SocketHost } from "./transport/websocket.js";

const SERVER_LIMITS = {
  /** From connecting to the end of the headers, in milliseconds. */
  headersTimeout: 10_000,
  /** From connecting to the end of the request, in milliseconds. */
  requestTimeout: 20_000,
  /** Between two requests of one connection, in milliseconds. */
  keepAliveTimeout: 10_000,
  /** How often the first two are looked at, in milliseconds. */
  connectionsCheckingInterval: 5_000,
  /** A token in a header may be some KiB long. */
  maxHeaderSize: 16 * 1024,
  /**
   * Bytes waiting in a socket beyond which its session is told to wait, and the least it can be for the system to be busy
   * while the next are made.
   */
  highWaterMark: 64 * 1024,
  noDelay: true,
  /** The system asks after a peer that has been silent for so long: a stream of a service has no ping, and nothing to write for hours. */
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  /** Other offers, like HTTP/2's with every request of some clients, are declined by answering the request (Node 24.9 and later). */
  shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket",
} as const;

/** From connecting to the end of the TLS handshake, in milliseconds: until then the limits above do not count. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * How long a socket may be silent while a call is answered, in milliseconds; one whose peer does not read is closed after up to twice as
 * long. Else whoever asks and does not read would keep the answer and the socket.
 */
const STALL_TIMEOUT_MS = 60_000;

/** Connections that the system takes while the process is busy, where it lets a process have so many: a restart brings everybody back at once. */
const BACKLOG = 4_096;

/** Sockets beside the WebSockets: calls, health, refusals on their way out. */
const SPARE_SOCKETS = 512;

/** A session of the fallback takes a connection for its stream and one for what it sends. */
const PLACES_OF_STREAM = 2;

/** Room for a request's envelope around what a frame may carry, in bytes. */
const ENVELOPE_BYTES = 4 * 1024;

/** Room for 1,000 user ids of 128 bytes beside what a frame may carry, in bytes. */
const USERS_BYTES = 160 * 1024;

/** Starts listening. Rejects where the address is taken or the page is not built. */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { core, telemetry, clock, limits } = options;
  const maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  const allowedOrigins = new Set(options.allowedOrigins);
  const sockets = new Set<BridgeSocket>();
  const held = new Set<Duplex>();
  const allGone = Promise.withResolvers<void>();
  let closing: Promise<void> | undefined;
  let reasons: readonly string[] = ["starting"];
  let limited: readonly string[] = [];

  const { maxFrameBytes } = limits;
  const json = createJsonCodec();
  const areAllGone = () => sockets.size === 0 && streams.size === 0;
  const gone = () => {
    if (closing !== undefined && areAllGone()) allGone.resolve();
  };
  const host: SocketHost = {
    clock,
    limits,
    binary: dialectOf(binaryCodec),
    json: dialectOf(json),
    gone: (socket) => {
      sockets.delete(socket);
      gone();
    },
  };
  const places = () => maxConnections - sockets.size - held.size - PLACES_OF_STREAM * streams.taken;
  const streams = new EventStreams({
    sessions: core.sessions,
    telemetry,
    host: { clock, limits, codec: json, encoding: eventEncoding(json) },
    passing: core.passing,
    hasPlace: () => places() >= PLACES_OF_STREAM,
    onGone: gone,
  });
  const directory = options.page?.directory ?? fileURLToPath(new URL("demo/", import.meta.url));
  const page = options.page === undefined ? undefined : await loadPage(directory);

  const server =
    options.tls === undefined
      ? createPlainServer(SERVER_LIMITS)
      : createTlsServer({
          ...SERVER_LIMITS,
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          cert: options.tls.cert,
          key: options.tls.key,
        });
  server.maxConnections = maxConnections + SPARE_SOCKETS;
  server.timeout = STALL_TIMEOUT_MS;
  const connections = new OpenConnections(server);
  server.on(
    "request",
    requestListener({
      telemetry,
      allowedOrigins,
      calls: [
        callRoute(RoomService, roomCalls(core.rooms), maxFrameBytes + ENVELOPE_BYTES, {
          core,
          telemetry,
          clock,
        }),
        callRoute(PresenceService, core.presence, maxFrameBytes + USERS_BYTES, { core, telemetry, clock }),
        callRoute(DeliveryService, core.delivery, maxFrameBytes + USERS_BYTES, { core, telemetry, clock }),
      ],
      fallback: fallback({ streams, allowedOrigins, limits }),
      readiness: () => ({ reasons, limits: limited }),
      page,
      issueToken: options.page?.issueToken,
    }),
  );
  const { sessions } = core;
  server.on("upgrade", upgradeListener({ sessions, telemetry, host, allowedOrigins, places, sockets, held }));

  const { address, port } = await listen(server, options.host ?? DEFAULT_HOST, options.port ?? DEFAULT_PORT);
  server.on("error", (cause) => telemetry.emit("fault", { where: "bridge.server", cause }));

  return {
    address,
    port,
    setReady(ready, why = ["not ready"], limits = []) {
      reasons = ready ? [] : why;
      limited = limits;
    },
    close(deadlineMs) {
      reasons = ["stopping"];
      if (areAllGone()) allGone.resolve();
      // Whom the core has not sent away before.
      for (const socket of held) socket.destroy();
      closing ??= closeServer(server, connections, sockets, streams, clock, deadlineMs).then(() => allGone.promise);
      return closing;
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<{ address: string; port: number }> {
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen({ port, host, backlog: BACKLOG }, () => listening.resolve());
  await listening.promise;
  server.off("error", listening.reject);
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the server is not bound to a port");
  return { address: bound.address, port: bound.port };
}

async function closeServer(
  server: Server,
  connections: OpenConnections,
  sockets: ReadonlySet<BridgeSocket>,
  streams: EventStreams,
  clock: Clock,
  deadlineMs: number,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  // Calls back when the last connection is gone, WebSockets included.
  server.close(() => closed.resolve());
  connections.leave();
  for (const socket of sockets) socket.end(CloseCode.GOING_AWAY, "the server is leaving");
  streams.close();
  const timer = clock.after(deadlineMs, () => {
    streams.cut();
    for (const socket of sockets) socket.terminate();
    connections.cut();
  });
  await closed.promise;
  timer.cancel();
}
