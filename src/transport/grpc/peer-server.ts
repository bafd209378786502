// The gRPC server that other nodes of the cluster talk to, apart from that of clients: its port need not be reachable for anybody else.

import { Server } from "@grpc/grpc-js";
import type { Telemetry } from "../../core/telemetry.js";
import type { Clock } from "../../ports/clock.js";
import type { PeerHandler } from "../../ports/peers.js";
import { type ServerTls, serverCredentials } from "../../rpc/tls.js";
import { listen } from "./listener.js";
import { peerDefinition, peerService } from "./peer-service.js";

export interface PeerServerOptions {
  readonly handler: PeerHandler;
  /** What callers must show. */
  readonly secret: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: plain, on loopback only. */
  readonly tls?: ServerTls | undefined;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
}

export interface PeerServer {
  readonly address: string;
  readonly port: number;
  /** Ends the streams of other nodes; what is left after `deadlineMs` is cut. Idempotent; never rejects. */
  close(deadlineMs: number): Promise<void>;
}

/** Nodes of one cluster: a connection or two each. */
const MAX_CONNECTIONS = 1_000;
/** Longest question, in bytes. */
const MAX_QUESTION_BYTES = 16 * 1024 * 1024;
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** Rejects with the system's error when the address cannot be had, and where it is public without protection. */
export async function startPeerServer(options: PeerServerOptions): Promise<PeerServer> {
  const { handler, secret, host, port, telemetry, clock } = options;
  const server = new Server({
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": MAX_QUESTION_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.keepalive_permit_without_calls": 1,
  });
  const serving = peerService(handler, secret, { telemetry, clock });
  server.addService(peerDefinition, serving.implementation);
  const injector = server.createConnectionInjector(serverCredentials(host, options.tls));
  const onFault = (cause: unknown) => telemetry.emit("fault", { where: "peer.listener", cause });
  const listener = await listen({ host, port, maxConnections: MAX_CONNECTIONS }, injector, onFault);

  const shutDown = async (deadlineMs: number): Promise<void> => {
    const closed = listener.stop();
    serving.close();
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
    close: (deadlineMs) => {
      closing ??= shutDown(deadlineMs);
      return closing;
    },
  };
}
