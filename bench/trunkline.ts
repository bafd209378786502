// How Trunkline is started for a benchmark, and how its start-up log says where it listens.

import { join } from "node:path";
import type { BridgeTarget, TrunklineTarget } from "./target.js";

export type Addresses = Pick<TrunklineTarget, "webPort" | "grpcPort" | "metricsPort">;

/** Rates are lifted, because a few connections send what many would; bounds on memory and sizes stay at their defaults. */
const LIFTED = [
  "publish-rate",
  "edit-rate",
  "mark-rate",
  "typing-rate",
  "signal-rate",
  "presence-rate",
  "read-rate",
  "administer-rate",
  "settings-rate",
  "service-rate",
  "frame-rate",
  "connect-rate",
];

/** The arguments after the program's name. Port 0: any. */
export function trunklineArguments(dataDirectory: string, bridgePort = 0): readonly string[] {
  return [
    "dev",
    ...["--log-format", "json"],
    ...["--grpc-port", "0"],
    ...["--bridge-port", String(bridgePort)],
    ...["--data-directory", dataDirectory],
    ...LIFTED.flatMap((rate) => [`--${rate}`, "0"]),
  ];
}

/** The addresses, if this line of the log is the one that names them. */
export function readAddresses(line: string): Addresses | undefined {
  if (!line.includes('"listening"')) return undefined;
  const entry: unknown = JSON.parse(line);
  if (typeof entry !== "object" || entry === null || !("grpc" in entry && "bridge" in entry)) {
    return undefined;
  }
  const metricsPort = "metrics" in entry ? portOf(entry.metrics) : undefined;
  return { grpcPort: portOf(entry.grpc), webPort: portOf(entry.bridge), metricsPort };
}

/** The arguments of a bridge that is linked to the node at this port of this machine. */
export function bridgeArguments(nodePort: number, name: string): readonly string[] {
  return [
    "bridge",
    ...["--log-format", "json"],
    ...["--backbone", `127.0.0.1:${nodePort}`],
    ...["--bridge-port", "0"],
    ...["--metrics-port", "0"],
    ...["--node-name", name],
  ];
}

/** The addresses of a bridge, if this line of its log is the one that names them. */
export function readBridgeAddresses(line: string): Pick<BridgeTarget, "webPort" | "metricsPort"> | undefined {
  if (!line.includes('"listening"')) return undefined;
  const entry: unknown = JSON.parse(line);
  if (typeof entry !== "object" || entry === null || !("bridge" in entry && "metrics" in entry)) return undefined;
  return { webPort: portOf(entry.bridge), metricsPort: portOf(entry.metrics) };
}

/** Where `trunkline dev` keeps the key that development tokens are signed with. */
export function keyFileIn(dataDirectory: string): string {
  return join(dataDirectory, "dev-key.json");
}

function portOf(address: unknown): number {
  return Number(String(address).split(":").at(-1));
}
