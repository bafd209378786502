// Metrics of the links between bridges and nodes.

import { Counter, Gauge, type Registry } from "prom-client";
import type { Telemetry } from "../core/telemetry.js";

/** Of either end. */
export function linkMetrics(registry: Registry, telemetry: Telemetry): readonly (() => void)[] {
  const registers = [registry];
  const links = new Gauge({ name: "trunkline_links", help: "Links between bridges and this process.", registers });
  const lost = new Counter({
    name: "trunkline_link_sessions_lost_total",
    help: "Sessions that were on links when these ended.",
    registers,
  });
  return [
    telemetry.on("link.turned", ({ up, sessions }) => {
      if (up) links.inc();
      else {
        links.dec();
        lost.inc(sessions);
      }
    }),
  ];
}

/** What a bridge holds, by links and between them. */
export interface Carried {
  /** Connections whose sessions live on a node. */
  readonly size: number;
  /** Connections whose session is over, and that are to have another. */
  readonly staying: number;
}

/** Of the bridge's end. */
export function carriedMetrics(registry: Registry, telemetry: Telemetry, carried: Carried): readonly (() => void)[] {
  const registers = [registry];
  const gauge: Gauge = new Gauge({
    name: "trunkline_link_sessions",
    help: "Connections whose sessions live on a node.",
    registers,
    collect: (): void => gauge.set(carried.size),
  });
  const staying: Gauge = new Gauge({
    name: "trunkline_link_connections_staying",
    help: "Connections whose session is over, and whose clients are to say hello again on them.",
    registers,
    collect: (): void => staying.set(carried.staying),
  });
  const bytes = new Counter({
    name: "trunkline_link_received_bytes_total",
    help: "Bytes that came down links: a frame counts once, however many clients get it.",
    registers,
  });
  const deliveries = new Counter({
    name: "trunkline_link_deliveries_total",
    help: "Frames that went to clients: each counts once per client.",
    registers,
  });
  return [
    telemetry.on("link.carried", (data) => {
      bytes.inc(data.bytes);
      deliveries.inc(data.deliveries);
    }),
  ];
}
