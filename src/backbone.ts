// The backbone: wires store, verifier, core, gRPC server and bridge; starts them in order and lets go of them in order.

import { hash, randomBytes } from "node:crypto";
import { startBridge } from "../bridge/server.js";
import { openEmbeddedEngine } from "./backbone/embedded-engine.js";
import type { Engine, EngineContext } from "./backbone/engine.js";
import { accessHookOf, publishHookOf } from "./backbone/hooks.js";
import type { Backbone, BackboneOptions, ListenAddress, StopOptions } from "./backbone/options.js";
import { outletsOf } from "./backbone/outlets.js";
import { joinAddress, watchReadiness } from "./backbone/readiness.js";
import { StartedParts } from "./backbone/started-parts.js";
import { verifierOf } from "./backbone/verifier.js";
import type { Core, Ids } from "./core/core.js";
import { createCore } from "./core/create-core.js";
import { Inbound } from "./core/delivery/inbound.js";
import { limitsWith } from "./core/limit/limits.js";
import { TenantLimits } from "./core/limit/tenants.js";
import { Telemetry } from "./core/telemetry.js";
import { createSystemClock } from "./ops/clock.js";
import { startLoadSampler } from "./ops/load.js";
import { createLog, type Logger } from "./ops/log.js";
import { logTelemetry } from "./ops/log-telemetry.js";
import { createMetrics } from "./ops/metrics.js";
import { startMetricsServer } from "./ops/metrics-server.js";
import { startGrpcServer } from "./transport/grpc/server.js";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_GRPC_PORT = 9090;
const DEFAULT_BRIDGE_PORT = 8080;
const DEFAULT_DRAIN_SPREAD_MS = 3_000;
const DEFAULT_SHUTDOWN_DEADLINE_MS = 15_000;

/**
 * Starts a backbone. Rejects with the cause when a port is taken or the store cannot be opened; what had been started by then
 * is stopped again.
 */
export async function startBackbone(options: BackboneOptions): Promise<Backbone> {
  const logger = options.logger ?? createLog({ level: "silent", format: "json", to: { write: () => {} } }).logger;
  const parts = new StartedParts((part, cause) => logger.error({ part, err: cause }, "a part could not be stopped"));
  try {
    return await start(options, logger, parts);
  } catch (error) {
    await parts.stop(DEFAULT_SHUTDOWN_DEADLINE_MS);
    throw error;
  }
}

async function start(options: BackboneOptions, logger: Logger, parts: StartedParts): Promise<Backbone> {
  const clock = options.clock ?? createSystemClock();
  const limits = limitsWith(options.limits ?? {});
  const tenants = new TenantLimits(limits, options.tenants);
  const telemetry = new Telemetry();
  parts.add("log", logTelemetry(telemetry, logger, clock));
  const sampler = startLoadSampler(clock);
  parts.add("load sampler", () => sampler.stop());
  let sessions = 0;
  parts.add(
    "session count",
    telemetry.on("session.opened", () => void sessions++),
  );
  parts.add(
    "session count",
    telemetry.on("session.closed", () => void sessions--),
  );
  const engine = await openEngine(options, {
    clock,
    limits,
    telemetry,
    logger,
    parts,
    notifies: options.outlets?.notifier !== undefined,
    load: () => sampler.load(),
    sessions: () => sessions,
    startAborted: options.startAborted,
  });

  const verifier = verifierOf(options.auth, clock, logger);
  // Whatever stood between this node and the others may have stood before the auth service too.
  parts.add(
    "revocations",
    telemetry.on("node.returned", () => verifier.relearn?.()),
  );
  if ("address" in options.auth) parts.add("auth client", () => verifier.close());

  const publish = options.publishHook && publishHookOf(options.publishHook, clock, telemetry);
  if (publish !== undefined) parts.add("publish hook", () => publish.close());
  const access = options.accessHook && accessHookOf(options.accessHook, clock, telemetry);
  if (access !== undefined) parts.add("access hook", () => access.close());

  const outside = options.outlets && outletsOf(options.outlets, engine, clock);
  if (outside !== undefined) parts.add("webhooks", () => outside.close());

  const load = () => sampler.load();
  const core = createCore({
    log: engine.log,
    archive: engine.archive,
    fanout: engine.fanout,
    directory: engine.directory,
    cluster: engine.cluster,
    verifier,
    clock,
    ids,
    telemetry,
    limits,
    tenants,
    publishHook: publish?.rules,
    outlets: outside?.outlets,
    accessHook: access?.rules,
    load,
  });
  parts.add("core", () => core.stop());
  engine.answerWith(core.answerPeer);
  await core.start();

  const { host = DEFAULT_HOST, port, ...grpcOptions } = options.grpc ?? { port: DEFAULT_GRPC_PORT };
  const vitals = () => ({ sessions, load: load() });
  const grpc = await startGrpcServer({ core, telemetry, clock, limits, host, port, vitals, ...grpcOptions });
  parts.add("gRPC server", (leftMs) => grpc.close(leftMs));
  const bridge = await startBridge({
    core,
    telemetry,
    clock,
    limits,
    allowedOrigins: [],
    ...(options.bridge ?? { port: DEFAULT_BRIDGE_PORT }),
  });
  parts.add("bridge", (leftMs) => bridge.close(leftMs));
  await engine.openInbound?.(new Inbound(core.delivery));
  const metricsAddress = options.metrics && (await serveMetrics(options.metrics, telemetry, load, core, parts));

  const endReadiness = watchReadiness(clock, () => {
    const { reasons, limits: limited } = engine.standing(core.shards());
    // Services that are known by their certificates need no auth service.
    grpc.setServing(reasons.length === 0);
    const all = verifier.available ? reasons : ["the auth service does not answer", ...reasons];
    bridge.setReady(all.length === 0, all, limited);
  });
  const leave = ({ spreadMs, deadlineMs }: Required<StopOptions>) => {
    endReadiness();
    grpc.setServing(false);
    bridge.setReady(false, ["leaving"]);
    return parts.stop(deadlineMs, () => core.drain(spreadMs));
  };
  let stopping: Promise<"drained" | "cut off"> | undefined;
  return {
    core,
    telemetry,
    grpcAddress: joinAddress(grpc.address, grpc.port),
    bridgeAddress: joinAddress(bridge.address, bridge.port),
    metricsAddress,
    node: engine.node,
    backup: (directory) => engine.backup(directory),
    limitTenants: (differences) => tenants.replace(differences),
    replaceLinkSecrets: (secrets) => grpc.replaceLinkSecrets(secrets),
    stop: ({ spreadMs = DEFAULT_DRAIN_SPREAD_MS, deadlineMs = DEFAULT_SHUTDOWN_DEADLINE_MS } = {}) => {
      stopping ??= leave({ spreadMs, deadlineMs });
      return stopping;
    },
  };
}

async function openEngine(options: BackboneOptions, context: EngineContext): Promise<Engine> {
  const { cluster, dataDirectory, shards, retentionMs } = options;
  if (cluster !== undefined) {
    if (retentionMs !== undefined)
      throw new Error("retention is of the embedded store: a cluster keeps events for ever");
    // What speaks with a cluster's services takes as long to load as half of the rest: a node without a cluster starts without it.
    const { openClusterEngine } = await import("./backbone/cluster-engine.js");
    return await openClusterEngine({ ...cluster, shards }, context);
  }
  if (dataDirectory === undefined) throw new Error("say where to store everything (dataDirectory), or give a cluster");
  return await openEmbeddedEngine({ directory: dataDirectory, shards, retentionMs }, context);
}

const RANDOM_ID_BYTES = 16;
/** 16 bytes in base64url, without padding. */
const ID_LENGTH = 22;

const ids: Ids = {
  random: () => randomBytes(RANDOM_ID_BYTES).toString("base64url"),
  digest: (text) => hash("sha256", text, "base64url").slice(0, ID_LENGTH),
};

async function serveMetrics(
  { host = DEFAULT_HOST, port }: ListenAddress,
  telemetry: Telemetry,
  load: () => number,
  core: Core,
  parts: StartedParts,
): Promise<string> {
  const metrics = createMetrics(telemetry, load, () => core.shards());
  parts.add("metrics", () => metrics.stop());
  const server = await startMetricsServer(metrics, host, port);
  parts.add("metrics server", () => server.close());
  return server.address;
}
