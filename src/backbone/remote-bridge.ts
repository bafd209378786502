// A bridge in a process of its own: browsers on one side, a link to a node on the other.

import { randomBytes, randomInt } from "node:crypto";
import { hostname } from "node:os";
import { remoteCalls } from "../../bridge/link/calls.js";
import { Links } from "../../bridge/link/links.js";
import type { BridgeOptions } from "../../bridge/options.js";
import { startBridge } from "../../bridge/server.js";
import { DEFAULT_LIMITS } from "../core/limit/limits.js";
import { Telemetry } from "../core/telemetry.js";
import { createSystemClock } from "../ops/clock.js";
import { startLoadSampler } from "../ops/load.js";
import { createLog, type Logger } from "../ops/log.js";
import { logTelemetry } from "../ops/log-telemetry.js";
import { createBridgeMetrics } from "../ops/metrics.js";
import { startMetricsServer } from "../ops/metrics-server.js";
import type { Clock } from "../ports/clock.js";
import type { ClientTls } from "../rpc/tls.js";
import type { ListenAddress, StopOptions } from "./options.js";
import { joinAddress, watchReadiness } from "./readiness.js";
import { StartedParts } from "./started-parts.js";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_SPREAD_MS = 3_000;
const DEFAULT_DEADLINE_MS = 15_000;
/** When stopping: how long answers to what clients have asked are waited for, at most, in milliseconds. */
const LEAVE_DEADLINE_MS = 5_000;
/** What tells a bridge from every other. */
const ID_BYTES = 12;

export interface RemoteBridgeOptions extends Partial<ListenAddress>, Pick<BridgeOptions, "maxConnections"> {
  /** gRPC addresses of nodes, `host:port` each, at least one: it is linked to one of them at a time. */
  readonly backbones: readonly string[];
  /** How they are reached. Default: plain on loopback, TLS with the system's roots elsewhere. */
  readonly backboneTls?: ClientTls;
  /** What it shows nodes. */
  readonly secret: string;
  /** What nodes call it in their logs. Default: the machine's name. */
  readonly name?: string;
  /** Certificate and key for browsers, PEM. Default: plain. */
  readonly tls?: NonNullable<BridgeOptions["tls"]>;
  /** Origins whose pages may connect. Default: the bridge's own. */
  readonly allowedOrigins?: readonly string[];
  /** The longest message of a client, in bytes. Default 65,536. Where the node takes less, what it takes. */
  readonly maxFrameBytes?: number;
  /** Whether the demo page is served. Default false. */
  readonly page?: boolean;
  /** Where /metrics is served. Default: nowhere. */
  readonly metrics?: ListenAddress;
  /** When a link is lost: the time over which its clients are told to come back, in milliseconds. Default 3,000. */
  readonly spreadMs?: number;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** A running bridge. */
export interface RemoteBridge {
  /** Addresses as bound, "host:port". */
  readonly bridgeAddress: string;
  readonly metricsAddress: string | undefined;
  readonly telemetry: Telemetry;
  /** Why it is not ready; empty: it is. */
  readonly trouble: readonly string[];
  /** Connections whose sessions live on a node. */
  readonly sessions: number;
  /** Connections whose session is over, and whose clients are to say hello again on them. */
  readonly staying: number;
  /** From now on it shows nodes this secret, where it links anew or asks something: links that are open stay. */
  showSecret(secret: string): void;
  /**
   * Leaves in order: not ready, what clients have asked is answered, they are told when to come back, everything is closed. Resolves with
   * whether all of it ended by itself. Idempotent; never rejects.
   */
  stop(options?: StopOptions): Promise<"drained" | "cut off">;
}

/** Starts a bridge. It need not find a node: it is not ready until it does. Rejects with the cause when a port is taken. */
export async function startRemoteBridge(options: RemoteBridgeOptions): Promise<RemoteBridge> {
  const logger = options.logger ?? createLog({ level: "silent", format: "json", to: { write: () => {} } }).logger;
  const parts = new StartedParts((part, cause) => logger.error({ part, err: cause }, "a part could not be stopped"));
  try {
    return await start(options, logger, parts);
  } catch (error) {
    await parts.stop(DEFAULT_DEADLINE_MS);
    throw error;
  }
}

async function start(options: RemoteBridgeOptions, logger: Logger, parts: StartedParts): Promise<RemoteBridge> {
  const { backbones, backboneTls, secret, name = hostname(), spreadMs = DEFAULT_SPREAD_MS } = options;
  const { maxFrameBytes = DEFAULT_LIMITS.maxFrameBytes } = options;
  const clock = options.clock ?? createSystemClock();
  const telemetry = new Telemetry();
  parts.add("log", logTelemetry(telemetry, logger, clock));
  const sampler = startLoadSampler(clock);
  parts.add("load sampler", () => sampler.stop());

  const random = () => randomInt(2 ** 32) / 2 ** 32;
  const links = new Links({
    backbones,
    tls: backboneTls,
    secret,
    bridge: name,
    id: randomBytes(ID_BYTES).toString("base64url"),
    clock,
    telemetry,
    spreadMs,
    random,
  });
  parts.add("links", () => links.close());
  const bridge = await startBridge({
    core: { sessions: links, passing: links.passing, ...remoteCalls(() => links.backbone?.client) },
    host: options.host ?? DEFAULT_HOST,
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    ...(options.page ? { page: {} } : {}),
    allowedOrigins: options.allowedOrigins ?? [],
    limits: {
      get maxFrameBytes() {
        return Math.min(maxFrameBytes, links.maxFrameBytes);
      },
    },
    telemetry,
    clock,
  });
  parts.add("bridge", (leftMs) => bridge.close(leftMs));
  const metricsAddress = options.metrics && (await serveMetrics(options.metrics, telemetry, sampler, links, parts));
  links.start();
  const endReadiness = watchReadiness(clock, () => {
    const { trouble } = links;
    bridge.setReady(trouble.length === 0, trouble, links.limits);
  });
  const leave = (stop: Required<StopOptions>) => {
    endReadiness();
    bridge.setReady(false, ["leaving"]);
    return parts.stop(stop.deadlineMs, (leftMs) => links.leave(stop.spreadMs, Math.min(leftMs, LEAVE_DEADLINE_MS)));
  };
  let stopping: Promise<"drained" | "cut off"> | undefined;
  return {
    bridgeAddress: joinAddress(bridge.address, bridge.port),
    metricsAddress,
    telemetry,
    get trouble() {
      return links.trouble;
    },
    get sessions() {
      return links.size;
    },
    get staying() {
      return links.staying;
    },
    showSecret: (shown) => links.show(shown),
    stop: ({ spreadMs: spread = spreadMs, deadlineMs = DEFAULT_DEADLINE_MS } = {}) => {
      stopping ??= leave({ spreadMs: spread, deadlineMs });
      return stopping;
    },
  };
}

async function serveMetrics(
  { host = DEFAULT_HOST, port }: ListenAddress,
  telemetry: Telemetry,
  sampler: { load(): number },
  links: Links,
  parts: StartedParts,
): Promise<string> {
  const metrics = createBridgeMetrics(telemetry, () => sampler.load(), links);
  parts.add("metrics", () => metrics.stop());
  const server = await startMetricsServer(metrics, host, port);
  parts.add("metrics server", () => server.close());
  return server.address;
}
