// Prometheus metrics, fed by the core's events. Each name is documented by its help text and in docs/operations.md.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ShardStatus } from "../core/room/shard-status.js";
import type { Telemetry } from "../core/telemetry.js";
import { ErrorCode } from "../ports/error.js";
import { clusterMetrics } from "./cluster-metrics.js";
import { inboundMetrics } from "./inbound-metrics.js";
import { type Carried, carriedMetrics, linkMetrics } from "./link-metrics.js";
import { outletMetrics } from "./outlet-metrics.js";

/** From a stored write on an idle machine (under a millisecond) to one that waits for a broken disk. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface Metrics {
  readonly contentType: string;
  /** The text that a scrape gets. */
  scrape(): Promise<string>;
  /** Stops listening to the core. */
  stop(): void;
}

/** A registry of its own, so that several backbones can live in one process. */
export function createMetrics(
  telemetry: Telemetry,
  load: () => number,
  shards: () => readonly ShardStatus[] = () => [],
): Metrics {
  const registry = new Registry();
  addProcess(registry);
  addLoad(registry, load);
  const subscriptions = [
    ...sessionMetrics(registry, telemetry),
    ...requestMetrics(registry, telemetry),
    ...limitMetrics(registry, telemetry),
    ...logMetrics(registry, telemetry),
    ...fanoutMetrics(registry, telemetry),
    ...hookMetrics(registry, telemetry),
    ...faultMetrics(registry, telemetry),
    ...outletMetrics(registry, telemetry),
    ...inboundMetrics(registry, telemetry),
    ...clusterMetrics(registry, telemetry, shards),
    ...linkMetrics(registry, telemetry),
  ];
  return metricsOf(registry, subscriptions);
}

/** Those of a bridge in a process of its own. `sessions`: how many it carries. */
export function createBridgeMetrics(telemetry: Telemetry, load: () => number, carried: Carried): Metrics {
  const registry = new Registry();
  addProcess(registry);
  addLoad(registry, load);
  return metricsOf(registry, [
    ...refusalMetrics(registry, telemetry),
    ...requestMetrics(registry, telemetry),
    ...faultMetrics(registry, telemetry),
    ...linkMetrics(registry, telemetry),
    ...carriedMetrics(registry, telemetry, carried),
  ]);
}

function metricsOf(registry: Registry, subscriptions: Subscriptions): Metrics {
  return {
    contentType: registry.contentType,
    scrape: () => registry.metrics(),
    stop: () => {
      for (const end of subscriptions) end();
      registry.clear();
    },
  };
}

type Subscriptions = readonly (() => void)[];

/** Those that make a list of every socket at each scrape: a twentieth of what a process with ten thousand of them does. */
const LISTS = ["handles", "requests", "resources"].flatMap((of) => [
  `nodejs_active_${of}`,
  `nodejs_active_${of}_total`,
]);

function addProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of LISTS) registry.removeSingleMetric(name);
}

function addLoad(registry: Registry, load: () => number): void {
  const gauge: Gauge = new Gauge({
    name: "trunkline_event_loop_utilization",
    help: "Share of time the event loop is busy, smoothed over about half a second, 0 to 1.",
    registers: [registry],
    collect: (): void => gauge.set(load()),
  });
}

function sessionMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const registers = [registry];
  const live = new Gauge({ name: "trunkline_sessions", help: "Live sessions.", registers });
  const opened = new Counter({
    name: "trunkline_sessions_opened_total",
    help: "Sessions that became live.",
    labelNames: ["transport"],
    registers,
  });
  const closed = new Counter({
    name: "trunkline_sessions_closed_total",
    help: "Sessions that ended, by close code.",
    labelNames: ["code"],
    registers,
  });
  const lagging = new Counter({
    name: "trunkline_sessions_lagging_total",
    help: "Times a session fell behind a room and was fed from the store.",
    registers,
  });
  return [
    telemetry.on("session.opened", ({ transport }) => {
      live.inc();
      opened.inc({ transport });
    }),
    telemetry.on("session.closed", ({ code }) => {
      live.dec();
      closed.inc({ code });
    }),
    ...refusalMetrics(registry, telemetry),
    telemetry.on("session.lagging", () => lagging.inc()),
  ];
}

function refusalMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const refused = new Counter({
    name: "trunkline_connections_refused_total",
    help: "Connections turned away before they became sessions.",
    labelNames: ["transport", "code"],
    registers: [registry],
  });
  return [telemetry.on("session.refused", ({ transport, code }) => refused.inc({ transport, code }))];
}

function requestMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const refused = new Counter({
    name: "trunkline_requests_refused_total",
    help: "Requests answered with an error, by operation and code.",
    labelNames: ["operation", "code"],
    registers: [registry],
  });
  return [telemetry.on("request.refused", ({ operation, code }) => refused.inc({ operation, code: ErrorCode[code] }))];
}

function limitMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const registers = [registry];
  const limited = new Counter({
    name: "trunkline_rate_limited_total",
    help: "Times a token bucket was empty, by whose it is and of which class of operations.",
    labelNames: ["scope", "operation"],
    registers,
  });
  const refused = new Counter({
    name: "trunkline_quota_refused_total",
    help: "Times something would have been one too many.",
    labelNames: ["quota"],
    registers,
  });
  const abusive = new Counter({
    name: "trunkline_sessions_abusive_total",
    help: "Sessions closed because they went on asking in spite of refusals.",
    registers,
  });
  return [
    telemetry.on("limit.refused", ({ scope, operation }) => limited.inc({ scope, operation })),
    telemetry.on("quota.refused", ({ quota }) => refused.inc({ quota })),
    telemetry.on("session.abusive", () => abusive.inc()),
  ];
}

function logMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const registers = [registry];
  const events = new Counter({ name: "trunkline_events_stored_total", help: "Events made durable.", registers });
  const bytes = new Counter({ name: "trunkline_stored_bytes_total", help: "Bytes of those events.", registers });
  const failures = new Counter({
    name: "trunkline_append_failures_total",
    help: "Batches of events that failed or were displaced.",
    registers,
  });
  const wait = new Histogram({
    name: "trunkline_append_seconds",
    help: "From an event's turn to its being durable, per batch.",
    buckets: SECONDS,
    registers,
  });
  return [
    telemetry.on("log.appended", (data) => {
      events.inc(data.events);
      bytes.inc(data.bytes);
      wait.observe(data.waitMs / 1_000);
    }),
    telemetry.on("log.failed", () => failures.inc()),
  ];
}

function fanoutMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const registers = [registry];
  const flushes = new Counter({
    name: "trunkline_fanout_flushes_total",
    help: "Batches handed to a room's subscribers.",
    registers,
  });
  const deliveries = new Counter({
    name: "trunkline_deliveries_total",
    help: "Events handed to sessions: each event counts once per recipient.",
    registers,
  });
  const window = new Gauge({
    name: "trunkline_fanout_window_seconds",
    help: "How long the fan-out collects events before it writes; grows with the load.",
    registers,
  });
  return [
    telemetry.on("fanout.flushed", (data) => {
      flushes.inc();
      deliveries.inc(data.events * data.recipients);
    }),
    telemetry.on("fanout.window", ({ windowMs }) => window.set(windowMs / 1_000)),
  ];
}

function hookMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const registers = [registry];
  const answers = new Counter({
    name: "trunkline_hook_answers_total",
    help: "Questions that the application's hooks have answered, by hook (publish, access) and answer.",
    labelNames: ["hook", "answer"],
    registers,
  });
  const seconds = new Histogram({
    name: "trunkline_hook_seconds",
    help: "How long those answers took.",
    labelNames: ["hook"],
    buckets: SECONDS,
    registers,
  });
  const failures = new Counter({
    name: "trunkline_hook_failures_total",
    help: "Questions without an answer that counts, by fault (no-answer, bad-answer) and outcome (let-through, refused).",
    labelNames: ["hook", "fault", "outcome"],
    registers,
  });
  const away = new Gauge({
    name: "trunkline_hook_away",
    help: "1 while a hook has failed so often that it is not asked, else 0.",
    labelNames: ["hook"],
    registers,
  });
  return [
    telemetry.on("hook.answered", ({ hook, answer, tookMs }) => {
      answers.inc({ hook, answer });
      seconds.observe({ hook }, tookMs / 1_000);
    }),
    telemetry.on("hook.failed", ({ hook, fault, letThrough }) =>
      failures.inc({ hook, fault, outcome: letThrough ? "let-through" : "refused" }),
    ),
    telemetry.on("hook.turned", (data) => away.set({ hook: data.hook }, data.away ? 1 : 0)),
  ];
}

function faultMetrics(registry: Registry, telemetry: Telemetry): Subscriptions {
  const faults = new Counter({
    name: "trunkline_faults_total",
    help: "Things that should not happen: bugs, or broken dependencies.",
    labelNames: ["where"],
    registers: [registry],
  });
  return [telemetry.on("fault", ({ where }) => faults.inc({ where }))];
}
