// Metrics of what leaves the server by itself, and of what else follows the log.

import { Counter, Gauge, type Registry } from "prom-client";
import type { Telemetry } from "../core/telemetry.js";

const MS_PER_SECOND = 1_000;

/** Returns what ends them. */
export function outletMetrics(registry: Registry, telemetry: Telemetry): readonly (() => void)[] {
  const labelled = { labelNames: ["outlet"] as const, registers: [registry] };
  const sent = new Counter({
    name: "trunkline_outlet_sent_total",
    help: "Events and notifications that an outlet's target has taken.",
    ...labelled,
  });
  const failures = new Counter({
    name: "trunkline_outlet_failures_total",
    help: "Tries that an outlet's target has not taken.",
    ...labelled,
  });
  const parked = new Gauge({
    name: "trunkline_outlet_parked",
    help: "Rooms, or notifications, that an outlet has set aside until its target takes them.",
    ...labelled,
  });
  const dead = new Counter({
    name: "trunkline_outlet_dead_letters_total",
    help: "What an outlet has given up.",
    ...labelled,
  });
  const lag = new Gauge({
    name: "trunkline_outlet_lag_seconds",
    help: "Age of the event that an outlet looked at last. The notifier's holds its grace.",
    ...labelled,
  });
  const lost = new Counter({
    name: "trunkline_follower_lost_total",
    help: "Places of the log that were gone before a follower came to them: events, but for those that hold none.",
    labelNames: ["follower"],
    registers: [registry],
  });
  return [
    telemetry.on("follower.lost", ({ follower, from, to }) => lost.inc({ follower }, to - from)),
    telemetry.on("outlet.sent", ({ outlet, count }) => sent.inc({ outlet }, count)),
    telemetry.on("outlet.failed", ({ outlet }) => failures.inc({ outlet })),
    telemetry.on("outlet.parked", (data) => parked.set({ outlet: data.outlet }, data.parked)),
    telemetry.on("outlet.buried", ({ outlet }) => dead.inc({ outlet })),
    telemetry.on("outlet.advanced", ({ outlet, lagMs }) => lag.set({ outlet }, lagMs / MS_PER_SECOND)),
  ];
}
