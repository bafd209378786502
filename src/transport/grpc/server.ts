// The gRPC server: options, services, and an orderly end.

import { type ChannelOptions, Server, ServerCredentials } from "@grpc/grpc-js";
import type { Core } from "../../core/core.js";
import { roomCalls } from "../../core/room/room-calls.js";
import type { Telemetry } from "../../core/telemetry.js";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import { DeliveryService } from "../../gen/trunkline/v1/delivery_pb.js";
import { LinkService } from "../../gen/trunkline/v1/link_pb.js";
import { PresenceService } from "../../gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../../gen/trunkline/v1/room_pb.js";
import { SessionService } from "../../gen/trunkline/v1/session_pb.js";
import type { Clock } from "../../ports/clock.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { serveCalls } from "./calls.js";
import type { CertifiedServices } from "./certified.js";
import { Health } from "./health.js";
import { linkDefinition, linkService } from "./link/link-service.js";
import { passService } from "./link/pass-service.js";
import { type Vitals, weighService } from "./link/weigh-service.js";
import { listen } from "./listener.js";
import { Reflection, reflectionAlphaDefinition, reflectionDefinition } from "./reflection.js";
import { SharedSecrets } from "./secret.js";
import { sessionDefinition, sessionService } from "./session-service.js";

export interface GrpcTls {
  /** The certificate chain, PEM. */
  readonly cert: string | Uint8Array;
  /** Its private key, PEM. */
  readonly key: string | Uint8Array;
  /** The authorities whose client certificates are accepted, PEM. Absent: none is asked for. */
  readonly clientCa?: string | Uint8Array;
  /** Whether a client without a certificate of `clientCa` is refused. Default: whether `clientCa` is given. */
  readonly requireClientCert?: boolean;
  /** Backend services that are known by their certificate, and need no token. Default: none. */
  readonly services?: CertifiedServices;
}

export interface GrpcServerOptions {
  readonly core: Pick<Core, "sessions" | "passing" | "rooms" | "delivery" | "presence" | "authenticate">;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: plain text. */
  readonly tls?: GrpcTls;
  /** `maxFrameBytes`: the longest frame of a session that is handled; a longer one is refused with TOO_LARGE. */
  readonly limits: { readonly maxFrameBytes: number };
  /** TCP connections at once; more are closed as they come. Default 10,000: within the usual limit of file descriptors. */
  readonly maxConnections?: number;
  /** Streams at once on one connection; the client queues more. Default 1,000, for proxies that share one among many. */
  readonly maxConcurrentStreams?: number;
  /** What bridges in processes of their own must show, or several of which each is enough. Absent: none may link. */
  readonly linkSecret?: string | readonly string[];
  /** What bridges that may choose are told: live sessions of this process, and how busy it is, 0 to 1. Default: nothing. */
  readonly vitals?: () => Vitals;
  /** Whether reflection is served. Default true: the contract is public. */
  readonly reflection?: boolean;
}

export interface GrpcServer {
  readonly address: string;
  readonly port: number;
  /** TCP connections, and session streams. */
  readonly connections: number;
  readonly sessions: number;
  /** What health checks are told. False at first. */
  setServing(serving: boolean): void;
  /** From now on new links must show one of these; those that are open stay. Throws where none may link. */
  replaceLinkSecrets(secrets: readonly string[]): void;
  /**
   * Tells health checks, ends the streams that are still open, waits up to `deadlineMs` for calls to finish, then closes what
   * is left. Sessions should have been drained before. Idempotent; never rejects.
   */
  close(deadlineMs: number): Promise<void>;
}

const DEFAULT_MAX_CONNECTIONS = 10_000;
const DEFAULT_MAX_CONCURRENT_STREAMS = 1_000;

/** Longest request of any kind, in bytes: 1,000 user ids of 128 bytes and a message fit. grpc-js itself refuses longer ones. */
const MAX_REQUEST_BYTES = 256 * 1_024;

/** Longest message of a link, in bytes: what a bridge says in one turn. */
const MAX_LINK_BYTES = 1024 * 1_024;

/** So many times its limit a frame may be and still get a typed refusal rather than the end of its stream. */
const REFUSED_FRAME_FACTOR = 4;

/** HTTP/2 pings find connections whose peer vanished: after this much silence, and then so long for the answer. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** A connection without any call is closed after so long; clients open it again when they need it. */
const IDLE_CONNECTION_MS = 5 * 60_000;

/** Rejects with the system's error when the address cannot be had, or the certificate is not one. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { core, clock, limits } = options;
  const context = { telemetry: options.telemetry, clock };
  const secrets = options.linkSecret === undefined ? undefined : new SharedSecrets("Bridge", options.linkSecret);
  const link =
    secrets && linkService(secrets, { ...context, sessions: core.sessions, maxFrameBytes: limits.maxFrameBytes });
  const pass = secrets && passService(secrets, core.passing, context);
  const { vitals = () => ({ sessions: 0, load: 0 }) } = options;
  /** Those on links are their bridges', and counted there. */
  const own = () => {
    const { sessions, load } = vitals();
    return { sessions: Math.max(0, sessions - (link?.sessions ?? 0)), load };
  };
  const weigh = secrets && weighService(secrets, own, context);
  const links = link === undefined ? [] : [LinkService];
  const served = [SessionService, RoomService, DeliveryService, PresenceService, ...links];

  const server = new Server(channelOptions(options));
  const sessions = sessionService(core.sessions, context);
  const health = new Health(
    served.map((service) => service.typeName),
    context,
  );
  const reflection = new Reflection([...served, HealthService], context);
  server.addService(sessionDefinition(limits.maxFrameBytes), sessions.implementation);
  if (link !== undefined)
    server.addService(linkDefinition, { ...link.implementation, ...pass?.implementation, ...weigh?.implementation });
  const certified = options.tls?.services;
  const rooms = serveCalls(RoomService, roomCalls(core.rooms), core, context, certified);
  const delivery = serveCalls(DeliveryService, core.delivery, core, context, certified);
  const presence = serveCalls(PresenceService, core.presence, core, context, certified);
  server.addService(serviceDefinition(RoomService), rooms.implementation);
  server.addService(serviceDefinition(DeliveryService), delivery.implementation);
  server.addService(serviceDefinition(PresenceService), presence.implementation);
  server.addService(serviceDefinition(HealthService), health.implementation);
  if (options.reflection ?? true) {
    server.addService(reflectionDefinition, reflection.implementation);
    server.addService(reflectionAlphaDefinition, reflection.implementation);
  }

  const { host, port, maxConnections = DEFAULT_MAX_CONNECTIONS } = options;
  const injector = server.createConnectionInjector(credentials(options.tls));
  const onFault = (cause: unknown) => context.telemetry.emit("fault", { where: "grpc.listener", cause });
  const listener = await listen({ host, port, maxConnections }, injector, onFault);

  const shutDown = async (deadlineMs: number): Promise<void> => {
    health.setServing(false);
    const closed = listener.stop();
    // What waits for the last stream of a connection would wait for these for ever.
    sessions.close();
    link?.close();
    pass?.close();
    weigh?.close();
    delivery.close();
    presence.close();
    health.close();
    reflection.close();
    // GOAWAY to every connection. Its callback is no help: with Node's own `close` having marked them, it does not wait.
    server.tryShutdown(() => {});
    const timer = clock.after(deadlineMs, () => listener.destroy());
    await closed;
    timer.cancel();
    server.forceShutdown();
  };
  let closing: Promise<void> | undefined;

  return {
    address: listener.address,
    port: listener.port,
    get connections() {
      return listener.connections;
    },
    get sessions() {
      return sessions.open;
    },
    setServing: (serving) => health.setServing(serving),
    replaceLinkSecrets: (replacing) => {
      if (secrets === undefined) throw new Error("no links are served: there was no secret at the start");
      secrets.replace(replacing);
    },
    close: (deadlineMs) => {
      closing ??= shutDown(deadlineMs);
      return closing;
    },
  };
}

function channelOptions({ limits, maxConcurrentStreams, linkSecret }: GrpcServerOptions): ChannelOptions {
  const longest = linkSecret === undefined ? MAX_REQUEST_BYTES : MAX_LINK_BYTES;
  return {
    // Its bookkeeping costs CPU and memory for each message and stream, and nothing here reads it.
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": Math.max(longest, REFUSED_FRAME_FACTOR * limits.maxFrameBytes),
    "grpc.max_concurrent_streams": maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_connection_idle_ms": IDLE_CONNECTION_MS,
  };
}

function credentials(tls: GrpcTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  const ca = tls.clientCa === undefined ? null : Buffer.from(tls.clientCa);
  return ServerCredentials.createSsl(ca, [pair], tls.requireClientCert ?? ca !== null);
}
