// drain: 5,000 connected clients that chat, and their server is restarted: how long until each is live again, and what is lost.

import type { DrainInput } from "../load/drain.js";
import type { RestartOutcome } from "../load/restart-figures.js";
import { type Restarting, restartingPeer, restartingTrunkline } from "../restarting.js";
import type { Sample } from "../result.js";
import type { Target } from "../target.js";
import { askLoad, type Context, type Suite } from "./suite.js";

const FULL = { clients: 5_000, messagesPerSecond: 200, beforeMs: 2_000, talkingMs: 8_000, deadlineMs: 60_000 };
const QUICK = { clients: 1_000, messagesPerSecond: 100, beforeMs: 1_000, talkingMs: 6_000, deadlineMs: 30_000 };
const SETUP_DEADLINE_MS = 180_000;

type Size = Omit<DrainInput, "target">;

const CASES: readonly {
  readonly name: string;
  readonly run: (context: Context, size: Size) => Promise<Outcome>;
}[] = [
  {
    name: "trunkline",
    run: (context, size) =>
      restart(restartingTrunkline(context.children, context.options.profile), (target) =>
        askLoad(context, "drain", { target, ...size }, deadlineOf(size)),
      ),
  },
  {
    name: "socket.io",
    run: (context, size) =>
      restart(restartingPeer(context.children), (target) =>
        askLoad(context, "drain peer", { target, ...size }, deadlineOf(size)),
      ),
  },
];

interface Outcome extends RestartOutcome {
  readonly serverDownMs: number;
  readonly serverCpuMost: number;
}

export const runDrainSuite: Suite = async (context) => {
  const { options } = context;
  const given = options.quick ? QUICK : FULL;
  const size = { ...given, clients: options.connections ?? given.clients };
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const { name, run: take } of CASES.filter((one) => options.wants(one.name))) {
      context.progress(`run ${run}/${options.runs}: ${name}, ${size.clients} clients`);
      samples.push(...toSamples(`${name} ${size.clients} clients`, await take(context, size)));
    }
  }
  return samples;
};

async function restart<T extends Target>(
  starting: Promise<Restarting<T>>,
  ask: (target: T) => Promise<RestartOutcome>,
): Promise<Outcome> {
  const server = await starting;
  try {
    const outcome = await Promise.race([ask(server.target), server.failed]);
    return { ...outcome, serverDownMs: server.downMs, serverCpuMost: server.cpuMost };
  } finally {
    await server.stop();
  }
}

function deadlineOf({ beforeMs, talkingMs, deadlineMs }: Size): number {
  return SETUP_DEADLINE_MS + beforeMs + talkingMs + deadlineMs;
}

function toSamples(name: string, outcome: Outcome): readonly Sample[] {
  const one = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
  return [
    one("back_p50_ms", "ms", outcome.backP50Ms),
    one("back_p95_ms", "ms", outcome.backP95Ms),
    one("back_max_ms", "ms", outcome.backMaxMs),
    one("never_back", "clients", outcome.neverBack),
    one("published", "messages", outcome.published),
    one("unanswered", "messages", outcome.unanswered),
    one("lost", "deliveries", outcome.lost),
    one("doubled", "deliveries", outcome.doubled),
    one("leaves_most", "in 100 ms", outcome.leavesMostPer100Ms),
    one("connects_most", "1/s", outcome.connectsMostPerSecond),
    one("server_down_ms", "ms", outcome.serverDownMs),
    one("server_cpu_most", "cores", outcome.serverCpuMost),
  ];
}
