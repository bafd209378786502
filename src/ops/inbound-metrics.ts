// Metrics of commands that come without a call.

import { Counter, Gauge, type Registry } from "prom-client";
import type { Telemetry } from "../core/telemetry.js";
import { ErrorCode } from "../ports/error.js";

/** Returns what ends them. */
export function inboundMetrics(registry: Registry, telemetry: Telemetry): readonly (() => void)[] {
  const registers = [registry];
  const taken = new Counter({
    name: "trunkline_inbound_taken_total",
    help: "Records of the inbound topic whose command was carried out.",
    registers,
  });
  const dead = new Counter({
    name: "trunkline_inbound_dead_letters_total",
    help: "Records of the inbound topic that were given up, by the reason's code.",
    labelNames: ["code"],
    registers,
  });
  const held = new Counter({
    name: "trunkline_inbound_held_total",
    help: "Tries of records of the inbound topic after which they had to wait.",
    registers,
  });
  const lag = new Gauge({
    name: "trunkline_inbound_lag",
    help: "Records of a partition of the inbound topic that were not dealt with when this node looked last.",
    labelNames: ["partition"],
    registers,
  });
  const failures = new Counter({
    name: "trunkline_inbound_failures_total",
    help: "Times the inbound topic could not be read.",
    registers,
  });
  return [
    telemetry.on("inbound.taken", () => taken.inc()),
    telemetry.on("inbound.buried", ({ code }) => dead.inc({ code: ErrorCode[code] })),
    telemetry.on("inbound.held", () => held.inc()),
    telemetry.on("inbound.lag", ({ partition, records }) => lag.set({ partition }, records)),
    telemetry.on("inbound.failed", () => failures.inc()),
  ];
}
