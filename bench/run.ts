// npm run bench: runs one benchmark, prints its table, writes its JSON.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { platform } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BenchOptions, parseRequest, USAGE } from "./options.js";
import { Children } from "./process/children.js";
import { fillReport } from "./report.js";
import { type BenchName, type BenchResult, describeMachine, readResult, toRows } from "./result.js";
import { runArchiveSuite } from "./suite/archive.js";
import { runChannelSuite } from "./suite/channel.js";
import { runClusterSuite } from "./suite/cluster.js";
import { runCompressionSuite } from "./suite/compression.js";
import { runDrainSuite } from "./suite/drain.js";
import { runEdgeSuite } from "./suite/edge.js";
import { runFanoutSuite } from "./suite/fanout.js";
import { runLeasesSuite } from "./suite/leases.js";
import { runMemorySuite } from "./suite/memory.js";
import { runPresenceSuite } from "./suite/presence.js";
import { runPublishSuite } from "./suite/publish.js";
import { runReceiptsSuite } from "./suite/receipts.js";
import { runResumeSuite } from "./suite/resume.js";
import { runSdkSuite } from "./suite/sdk.js";
import { runServiceSuite } from "./suite/service.js";
import type { Suite } from "./suite/suite.js";
import { runTypingSuite } from "./suite/typing.js";
import { toTable } from "./table.js";

const SUITES: Readonly<Record<BenchName, Suite>> = {
  fanout: runFanoutSuite,
  publish: runPublishSuite,
  memory: runMemorySuite,
  resume: runResumeSuite,
  channel: runChannelSuite,
  presence: runPresenceSuite,
  typing: runTypingSuite,
  receipts: runReceiptsSuite,
  service: runServiceSuite,
  cluster: runClusterSuite,
  archive: runArchiveSuite,
  compression: runCompressionSuite,
  leases: runLeasesSuite,
  drain: runDrainSuite,
  edge: runEdgeSuite,
  sdk: runSdkSuite,
};

/** Seen from dist/bench. */
const REPORT = fileURLToPath(new URL("../../docs/benchmarks.md", import.meta.url));

async function main(): Promise<number> {
  const request = parseRequest(process.argv.slice(2));
  switch (request.kind) {
    case "usage":
      console.error(`${request.problem}\n\n${USAGE}`);
      return 2;
    case "report":
      writeFileSync(REPORT, fillReport(readFileSync(REPORT, "utf8"), request.files.map(readResult)));
      return 0;
    case "bench":
      return bench(request.options);
  }
}

async function bench(given: BenchOptions): Promise<number> {
  if (platform() !== "linux") {
    console.error("the benchmarks read CPU and memory from /proc: they run on Linux only");
    return 2;
  }
  const options = given.profile === undefined ? given : { ...given, profile: resolve(given.profile) };
  if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true });
  const children = new Children();
  process.once("exit", () => children.killAll());
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

  const machine = describeMachine(new Date());
  try {
    const samples = await SUITES[options.bench]({
      children,
      options,
      progress: (line) => console.error(`${options.bench}: ${line}`),
    });
    const result: BenchResult = { bench: options.bench, quick: options.quick, machine, rows: toRows(samples) };
    console.log(toTable(result.rows));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
    return 0;
  } finally {
    await children.stopAll();
  }
}

process.exitCode = await main();
