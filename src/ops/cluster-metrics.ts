// Metrics of a node's shards, and of the services that a cluster stands on.

import { Counter, Gauge, type Registry } from "prom-client";
import type { ShardStatus } from "../core/room/shard-status.js";
import type { Telemetry } from "../core/telemetry.js";

const STATES = ["closed", "opening", "open", "away"] as const;
const MS_PER_SECOND = 1_000;

/** Returns what ends them. */
export function clusterMetrics(
  registry: Registry,
  telemetry: Telemetry,
  shards: () => readonly ShardStatus[],
): readonly (() => void)[] {
  const registers = [registry];
  shardMetrics(registry, shards);
  const away = new Gauge({
    name: "trunkline_dependency_away",
    help: "1 while a service of the cluster (redis, kafka, mongodb) is away.",
    labelNames: ["dependency"],
    registers,
  });
  const failures = new Counter({
    name: "trunkline_dependency_failures_total",
    help: "Things asked of such a service that failed and that nobody waited for.",
    labelNames: ["dependency"],
    registers,
  });
  const archiving = new Counter({
    name: "trunkline_archive_failures_total",
    help: "Writes of the archive that failed and are done again.",
    registers,
  });
  const peers = new Gauge({
    name: "trunkline_peer_away",
    help: "1 while another node that lives cannot be asked by this one, by that node's id; no value for those that can.",
    labelNames: ["node"],
    registers,
  });
  const refused = new Counter({
    name: "trunkline_archive_refused_total",
    help: "Documents that the archive's store refuses for good, and that were set aside, by collection.",
    labelNames: ["collection"],
    registers,
  });
  return [
    // Ids are of one life of a node: those of the past would add up.
    telemetry.on("peer.turned", ({ nodeId: node, away }) => (away ? peers.set({ node }, 1) : peers.remove({ node }))),
    telemetry.on("archive.refused", ({ collection }) => refused.inc({ collection })),
    telemetry.on("dependency.turned", (data) => away.set({ dependency: data.dependency }, data.away ? 1 : 0)),
    telemetry.on("dependency.failed", ({ dependency }) => failures.inc({ dependency })),
    telemetry.on("archive.failed", () => archiving.inc()),
  ];
}

function shardMetrics(registry: Registry, shards: () => readonly ShardStatus[]): void {
  const registers = [registry];
  const states: Gauge<"state"> = new Gauge({
    name: "trunkline_shards",
    help: "Shards by how they stand on this node: closed (another node's), opening, open, away (the log failed).",
    labelNames: ["state"],
    registers,
    collect: (): void => {
      const all = shards();
      for (const state of STATES) states.set({ state }, all.filter(({ is }) => is === state).length);
    },
  });
  const gauge = (name: string, help: string, value: (all: readonly ShardStatus[]) => number): void => {
    const made: Gauge = new Gauge({ name, help, registers, collect: (): void => made.set(value(shards())) });
  };
  gauge("trunkline_archive_pending_events", "Events of this node's shards that the archive does not have yet.", (all) =>
    all.reduce((sum, { lag }) => sum + lag.events, 0),
  );
  gauge("trunkline_archive_pending_bytes", "Bytes of those events.", (all) =>
    all.reduce((sum, { lag }) => sum + lag.bytes, 0),
  );
  gauge("trunkline_archive_lag_seconds", "For how long the oldest of them has waited.", (all) =>
    Math.max(0, ...all.map(({ lag }) => lag.ageMs / MS_PER_SECOND)),
  );
}
