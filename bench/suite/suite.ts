// What every benchmark is given, and how it asks a load generator.

import { fileURLToPath } from "node:url";
import type { Answer, Job, JobKind, Jobs } from "../load/job.js";
import type { BenchOptions } from "../options.js";
import type { Children } from "../process/children.js";
import type { Sample } from "../result.js";
import { type Running, startPeer, startTrunkline } from "../servers.js";
import type { Target, TrunklineTarget } from "../target.js";

export interface Context {
  readonly children: Children;
  readonly options: BenchOptions;
  /** Tells what is going on. */
  readonly progress: (line: string) => void;
}

/** Runs a benchmark and gives its samples, run after run. */
export type Suite = (context: Context) => Promise<readonly Sample[]>;

const LOAD = fileURLToPath(new URL("../load/main.js", import.meta.url));

/** Gives a job to a new load generator. */
export async function askLoad<K extends JobKind>(
  context: Context,
  kind: K,
  input: Jobs[K]["input"],
  deadlineMs: number,
): Promise<Jobs[K]["outcome"]> {
  const job = { kind, input } satisfies { kind: JobKind; input: Job["input"] };
  // The other end is bench/load/main.ts of the same build: the one place where its answer gets its type.
  const answer = (await context.children.ask(LOAD, job, deadlineMs)) as Answer<Jobs[K]["outcome"]>;
  if (!answer.ok) throw new Error(answer.reason);
  return answer.outcome;
}

/** Starts a server for one job and ends it after. */
export async function withServer<T extends Target, O>(
  start: () => Promise<Running<T>>,
  use: (target: T) => Promise<O>,
): Promise<O> {
  const server = await start();
  try {
    return await use(server.target);
  } finally {
    await server.stop();
  }
}

/** Measures every case that is wanted, run after run. */
export async function sampleCases<C extends { readonly name: string }>(
  { options, progress }: Context,
  cases: readonly C[],
  measure: (one: C, run: number) => Promise<readonly Sample[]>,
): Promise<readonly Sample[]> {
  const wanted = cases.filter(({ name }) => options.wants(name));
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const one of wanted) {
      progress(`run ${run}/${options.runs}: ${one.name}`);
      samples.push(...(await measure(one, run)));
    }
  }
  return samples;
}

/** Gives a job to a new load generator, at a server that is started for it. */
export function askAtServer<K extends JobKind>(
  context: Context,
  kind: K,
  inputAt: (target: TrunklineTarget) => Jobs[K]["input"],
  deadlineMs: number,
): Promise<Jobs[K]["outcome"]> {
  return withServer(
    () => startTrunkline(context.children, context.options.profile),
    (target) => askLoad(context, kind, inputAt(target), deadlineMs),
  );
}

/** Starts the server of a case by its kind. */
export function starter(context: Context, kind: Target["kind"]): () => Promise<Running<Target>> {
  return () =>
    kind === "trunkline"
      ? startTrunkline(context.children, context.options.profile)
      : startPeer(context.children, kind);
}
