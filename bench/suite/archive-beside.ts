// archive, beside live publishing: how far the archive is behind while messages come in at a steady rate, and how it catches up after MongoDB
// was away. Each run ends with a count: what was acknowledged is in the archive, once and without a hole, or the benchmark fails.

import { TcpProxy } from "../../test/support/faults/tcp-proxy.js";
import { faultOf, readArchived } from "../cluster/archive-audit.js";
import { ArchiveWatch, archivedBetween, type Look } from "../cluster/archive-watch.js";
import { startCluster } from "../cluster/nodes.js";
import type { BenchServices } from "../cluster/services.js";
import type { IngestOutcome } from "../load/ingest.js";
import { SLICE_MS } from "../load/ingest-sessions.js";
import type { Sample } from "../result.js";
import { median } from "../stats.js";
import { askLoad, type Context } from "./suite.js";

interface Away {
  /** From the beginning of the window. */
  readonly afterMs: number;
  readonly forMs: number;
  /** Nodes take less than by default, so that what they take is reached: `archivePendingBytes`. */
  readonly pendingBytes?: number;
}

export interface BesideCase {
  readonly name: string;
  /** Messages a second. */
  readonly rate: number;
  readonly windowMs: number;
  readonly quickWindowMs: number;
  readonly away?: Away;
}

const BOUND = 1024 * 1024;
export const BESIDE: readonly BesideCase[] = [
  ...[100, 1_000, 3_000].map((rate) => ({
    name: `live ${rate}/s`,
    rate,
    windowMs: 20_000,
    quickWindowMs: 5_000,
  })),
  {
    name: "away 30 s at 1000/s",
    rate: 1_000,
    windowMs: 60_000,
    quickWindowMs: 60_000,
    away: { afterMs: 2_000, forMs: 30_000 },
  },
  {
    name: "away 30 s at 2000/s to the bound",
    rate: 2_000,
    windowMs: 60_000,
    quickWindowMs: 60_000,
    away: { afterMs: 2_000, forMs: 30_000, pendingBytes: BOUND },
  },
];

const NODES = 2;
const ROOMS = 64;
const CONCURRENCY = 1_024;
const WARMUP_MS = 4_000;
const GRACE_MS = 60_000;
/** By when the load has made its rooms. */
const BEGIN_MS = 20_000;
/** Beyond what things take by the clock. */
const SLACK_MS = 30_000;
const CAUGHT_UP_MS = 120_000;
const ROOM_PREFIX = "beside";
/** What a publish that cannot be taken now is refused with: to be sent again. Any other is a fault. */
const AGAIN = "UNAVAILABLE";

export async function measureBeside(context: Context, services: BenchServices, one: BesideCase): Promise<Sample[]> {
  const { away } = one;
  const mongoUrl = services.urlOf("mongo");
  const way = away === undefined ? undefined : await wayTo(mongoUrl);
  const environment = {
    TRUNKLINE_METRICS_PORT: "0",
    ...(way === undefined ? {} : { TRUNKLINE_MONGODB_URL: way.url }),
    ...(away?.pendingBytes === undefined ? {} : { TRUNKLINE_ARCHIVE_PENDING_BYTES: `${away.pendingBytes}` }),
  };
  try {
    const cluster = await startCluster(context, services, NODES, { environment });
    const watch = new ArchiveWatch({
      nodes: cluster.nodes,
      mongoUrl,
      mongoPid: services.all.find(({ name }) => name === "mongo")?.pid,
      database: cluster.name,
    });
    try {
      const windowMs = context.options.quick ? one.quickWindowMs : one.windowMs;
      const beginAt = Date.now() + BEGIN_MS;
      const load = {
        targets: cluster.nodes,
        beside: services.all.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
        prefix: ROOM_PREFIX,
        rooms: ROOMS,
        rate: one.rate,
        concurrency: CONCURRENCY,
        // Only what is cut off by the clock must begin by it.
        ...(away === undefined ? {} : { beginAt }),
        warmupMs: WARMUP_MS,
        windowMs,
        graceMs: GRACE_MS,
      };
      const asking = askLoad(context, "ingest", load, BEGIN_MS + WARMUP_MS + windowMs + GRACE_MS + SLACK_MS);
      watch.start();
      const [outcome, outage] = await Promise.all([
        asking,
        away === undefined || way === undefined
          ? undefined
          : cutOff(watch, way.proxy, beginAt + WARMUP_MS + away.afterMs, away.forMs),
      ]);
      await watch.until("the archive is to have everything", CAUGHT_UP_MS, ({ pendingEvents }) => pendingEvents === 0);
      const fault = faultOf(await readArchived(mongoUrl, cluster.name, ROOM_PREFIX), outcome.acked);
      if (fault !== undefined) throw new Error(`${one.name}: ${fault}`);
      const samples = outage === undefined ? liveSamples(watch.looks, outcome) : outageSamples(outage, outcome, away);
      return samples.map((sample) => ({ case: one.name, ...sample }));
    } finally {
      await watch.stop();
      await cluster.stop();
    }
  } finally {
    await way?.proxy.close();
  }
}

type Figure = Omit<Sample, "case">;

function liveSamples(looks: readonly Look[], outcome: IngestOutcome): readonly Figure[] {
  const inWindow = looks.filter(({ at }) => at >= outcome.from && at <= outcome.to);
  const [first] = inWindow;
  const last = inWindow.at(-1);
  if (first === undefined || last === undefined) throw new Error("nobody looked");
  requireAgain(outcome);
  const archived = archivedBetween(first, last);
  const lags = inWindow.map(({ lagMs }) => lagMs);
  return [
    { metric: "published_per_s", unit: "1/s", value: outcome.acksPerS },
    { metric: "archived_per_s", unit: "1/s", value: (archived * 1_000) / (last.at - first.at) },
    { metric: "lag_p50_ms", unit: "ms", value: median(lags) },
    { metric: "lag_max_ms", unit: "ms", value: Math.max(...lags) },
    { metric: "ack_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { metric: "ack_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    { metric: "refused_unavailable", unit: "", value: refused(outcome) },
    { metric: "cpu_us_nodes", unit: "µs", value: (last.nodesCpu - first.nodesCpu) / archived },
    { metric: "cpu_us_mongo", unit: "µs", value: (last.mongoCpu - first.mongoCpu) / archived },
  ];
}

/** A time without MongoDB, as it was seen. */
interface Outage {
  readonly cut: Look;
  /** The last look before MongoDB was back. */
  readonly healed: Look;
  /** When it was, of the epoch. */
  readonly healedAt: number;
  /** When the first event was archived. */
  readonly moved: Look;
  /** When all that had waited at `healed` was. */
  readonly caughtUp: Look;
}

async function cutOff(watch: ArchiveWatch, proxy: TcpProxy, cutFrom: number, forMs: number): Promise<Outage> {
  await watch.until("the time before", cutFrom - Date.now() + SLACK_MS, ({ at }) => at >= cutFrom);
  proxy.cut();
  const cutAt = Date.now();
  const cut = await watch.until("the next look", SLACK_MS, ({ at }) => at > cutAt);
  const healed = await watch.until("the time away", forMs + SLACK_MS, ({ at }) => at >= cutAt + forMs);
  if (archivedBetween(cut, healed) > 0) throw new Error("MongoDB was not away: nodes reached it past the proxy");
  proxy.heal();
  const healedAt = Date.now();
  const moved = await watch.until(
    "MongoDB is to be written again",
    CAUGHT_UP_MS,
    (look) => archivedBetween(healed, look) > 0,
  );
  // The oldest that waits has come since.
  const caughtUp = await watch.until(
    "what had waited is to be archived",
    CAUGHT_UP_MS,
    ({ lagMs, at }) => lagMs < at - healedAt,
  );
  return { cut, healed, healedAt, moved, caughtUp };
}

function outageSamples(outage: Outage, outcome: IngestOutcome, away: Away | undefined): readonly Figure[] {
  const { cut, healed, healedAt, moved, caughtUp } = outage;
  requireAgain(outcome);
  if (away?.pendingBytes !== undefined && refused(outcome) === 0) throw new Error("the bound was not reached");
  const slices = outcome.slices.filter((_, at) => {
    const from = outcome.beganAt + at * SLICE_MS;
    return from >= cut.at && from + SLICE_MS <= healed.at;
  });
  const acked = slices.reduce((sum, acks) => sum + acks, 0);
  if (acked === 0) throw new Error("nothing was acknowledged while MongoDB was away");
  const archived = archivedBetween(healed, caughtUp);
  return [
    { metric: "acked_while_away_per_s", unit: "1/s", value: (acked * 1_000) / (slices.length * SLICE_MS) },
    { metric: "longest_silence_ms", unit: "ms", value: longestSilence(slices) },
    { metric: "refused_unavailable", unit: "", value: refused(outcome) },
    { metric: "backlog_events", unit: "", value: healed.pendingEvents },
    { metric: "backlog_mib", unit: "MiB", value: healed.pendingBytes / 1024 ** 2 },
    { metric: "written_again_after_ms", unit: "ms", value: moved.at - healedAt },
    { metric: "caught_up_after_ms", unit: "ms", value: caughtUp.at - healedAt },
    { metric: "caught_up_per_s", unit: "1/s", value: (archived * 1_000) / (caughtUp.at - moved.at + SLICE_MS) },
    { metric: "mongo_us_per_event", unit: "µs", value: (caughtUp.mongoCpu - healed.mongoCpu) / archived },
  ];
}

/** The longest time without an acknowledgement, to a slice. */
function longestSilence(slices: readonly number[]): number {
  let longest = 0;
  let silent = 0;
  for (const acks of slices) {
    silent = acks === 0 ? silent + 1 : 0;
    longest = Math.max(longest, silent);
  }
  return longest * SLICE_MS;
}

function refused({ refusals }: IngestOutcome): number {
  return refusals[AGAIN] ?? 0;
}

/** Throws where a publish was refused for another reason than that it cannot be taken just now. */
function requireAgain({ refusals }: IngestOutcome): void {
  const others = Object.keys(refusals).filter((code) => code !== AGAIN);
  if (others.length > 0) throw new Error(`publishes were refused: ${JSON.stringify(refusals)}`);
}

/** A way to MongoDB that can be cut. */
async function wayTo(url: string): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
  const found = /^mongodb:\/\/(.*@)?([^@/,]+)(\/[^?]*)?(\?.*)?$/.exec(url);
  const [, user = "", host, path = "/", query] = found ?? [];
  if (host === undefined) throw new Error("cutting MongoDB off takes a mongodb:// address of one server");
  const proxy = await TcpProxy.to(host);
  const options = query === undefined ? "?directConnection=true" : `${query}&directConnection=true`;
  return { proxy, url: `mongodb://${user}${proxy.address}${path}${options}` };
}
