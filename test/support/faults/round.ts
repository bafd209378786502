// One round: a crowd of its own talks, something fails and is mended, everybody comes to the end, and what happened is judged.

import { setTimeout as pause } from "node:timers/promises";
import { Schema } from "../client/index.js";
import { between, type Random } from "../story/random.js";
import type { FaultyCluster, FaultyNode } from "./cluster.js";
import { Crowd, type CrowdOptions } from "./crowd.js";
import { FAULTS, type Fault, type FaultStage, type FaultTitle } from "./faults.js";
import { judge, type Verdict } from "./judge.js";

export type CrowdSize = Pick<CrowdOptions, "rooms" | "publishersPerRoom" | "receiversPerRoom" | "everyMs">;

export interface RoundOptions {
  readonly cluster: FaultyCluster;
  /** Unlike that of every other round on the cluster. */
  readonly name: string;
  readonly random: Random;
  readonly size: CrowdSize;
  /** One, or two that go together. */
  readonly faults: readonly FaultTitle[];
  /** Mends after so long what would last longer, in milliseconds. Default: each fault lasts as it says. */
  readonly mostMs?: number;
}

export interface RoundResult {
  readonly verdict: Verdict;
  readonly acknowledged: number;
  readonly refusals: ReadonlyMap<string, number>;
  /** What was done and when, in milliseconds of the monotonic clock. */
  readonly notes: readonly string[];
  /** Of these, what the faults themselves have to say. */
  readonly remarks: readonly string[];
  /** The longest time in which a room accepted nothing, in milliseconds. */
  readonly silentMs: number;
  /** From the last mending until each room had accepted a message that was sent after it, in milliseconds. */
  readonly acceptedAgainMs: number;
}

/** What everybody says before anything fails, and after all is mended, in milliseconds. */
const CALM_MS = 1_500;
/** Longest time from a mending to the last room's next accepted message. Not the aim: beyond it something is broken. */
const ACCEPTED_AGAIN_MS = 60_000;
const LOOK_AGAIN_MS = 50;

export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { cluster, name, random, size, faults, mostMs = Number.POSITIVE_INFINITY } = options;
  const schema = new Schema();
  const { endpoints } = cluster;
  const crowd = new Crowd({ ...size, name, endpoints, issuer: cluster.issuer, schema, random });
  const notes: string[] = [];
  const remarks: string[] = [];
  const note = (what: string): void => void notes.push(`${Math.round(performance.now())} ${what}`);
  try {
    await crowd.createRooms();
    crowd.start();
    await acceptedSince(crowd, performance.now());
    await pause(CALM_MS);
    const beginning = performance.now();
    const remark = (what: string): void => {
      remarks.push(what);
      note(what);
    };
    await failAndMend(faults, mostMs, { cluster, random, takeNode: nodesOf(cluster, random), note }, remark);
    const mending = performance.now();
    const last = await acceptedSince(crowd, mending);
    if (last === undefined) note(`not every room accepts messages again ${ACCEPTED_AGAIN_MS} ms after all was mended`);
    await pause(CALM_MS);
    const verdict = await judge(cluster, crowd, schema);
    const stuck = last === undefined ? ["not every room accepts messages again"] : [];
    return {
      verdict: { ...verdict, violations: [...verdict.violations, ...stuck] },
      acknowledged: crowd.acknowledged,
      refusals: crowd.refusals(),
      notes,
      remarks,
      silentMs: Math.round(longestSilence(crowd, beginning)),
      acceptedAgainMs: Math.round((last ?? Number.POSITIVE_INFINITY) - mending),
    };
  } finally {
    await crowd.stop();
  }
}

/** Two faults overlap: the second begins while the first lasts. */
async function failAndMend(
  titles: readonly FaultTitle[],
  mostMs: number,
  stage: FaultStage,
  remark: (what: string) => void,
): Promise<void> {
  const all = titles.map(async (title, index) => {
    const fault: Fault = FAULTS[title];
    if (index > 0) await pause(between(stage.random, 0, 4_000));
    stage.note(`${title}: begins`);
    const mend = await fault.begin({ ...stage, note: remark });
    await pause(Math.min(fault.lastsMs, mostMs));
    await mend();
    stage.note(`${title}: is mended`);
  });
  await Promise.all(all);
}

/** Gives each node once. */
function nodesOf(cluster: FaultyCluster, random: Random): () => FaultyNode {
  const left = [...cluster.nodes];
  return () => {
    const [node] = left.splice(between(random, 0, left.length), 1);
    if (node === undefined) throw new Error("there is no node left to do anything to");
    return node;
  };
}

/** When the last room accepted its first message that was sent after `since`; undefined: one has not. */
function firstsSince(crowd: Crowd, since: number): number | undefined {
  const firsts = new Map<string, number>();
  for (const { roomId, begun, answered } of crowd.accepted()) {
    if (begun >= since) firsts.set(roomId, Math.min(answered, firsts.get(roomId) ?? answered));
  }
  return firsts.size < crowd.roomIds.length ? undefined : Math.max(...firsts.values());
}

/** Of any room, since then. */
function longestSilence(crowd: Crowd, since: number): number {
  const answers = new Map<string, number[]>();
  for (const { roomId, answered } of crowd.accepted()) {
    const times = answers.get(roomId) ?? [since];
    answers.set(roomId, times);
    if (answered > since) times.push(answered);
  }
  let longest = 0;
  for (const times of answers.values()) {
    times.sort((one, other) => one - other);
    for (const [index, time] of times.entries()) longest = Math.max(longest, time - (times[index - 1] ?? time));
  }
  return longest;
}

async function acceptedSince(crowd: Crowd, since: number): Promise<number | undefined> {
  const deadline = performance.now() + ACCEPTED_AGAIN_MS;
  for (;;) {
    const last = firstsSince(crowd, since);
    if (last !== undefined || performance.now() > deadline) return last;
    await pause(LOOK_AGAIN_MS);
  }
}
