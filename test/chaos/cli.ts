// A cluster on this machine to which one thing after the other is done while a crowd talks. Ends with 0 if every promise was kept.

import { parseArgs } from "node:util";
import { FaultyCluster } from "../support/faults/cluster.js";
import { type FaultTitle, goTogether, isFault, TITLES } from "../support/faults/faults.js";
import { account, isClean, summary } from "../support/faults/report.js";
import { runRound } from "../support/faults/round.js";
import { between, type Random, seeded } from "../support/story/random.js";

const USAGE = `npm run chaos -- [--minutes N] [--seed S] [--nodes N] [--rooms N] [--clients N] [--every MS] [--pairs | --only TITLE...]

  --minutes N   begins no further round after so long; default 10. Each fault is had once by itself first, then two at a time
  --seed S      chooses the faults, the nodes and the moments; default: by chance, printed
  --nodes N     default 3; at least 3 for two faults at a time
  --rooms N     default 20
  --clients N   over all rooms, a fifth of them reading; default 200
  --every MS    between the answer to a message and its sender's next one; default 1000
  --pairs       two faults at a time from the beginning
  --only TITLE  these faults alone, each by itself, again and again

faults:
${TITLES.map((title) => `  ${title}`).join("\n")}`;

const FAILED = 1;
const MISUSED = 2;
const MINUTE_MS = 60_000;
/** The first ends it after the round, the second at once. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export async function main(argv: readonly string[], print: (line: string) => void): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: "string", default: "10" },
      seed: { type: "string", default: `${Math.floor(Math.random() * 2 ** 32)}` },
      nodes: { type: "string", default: "3" },
      rooms: { type: "string", default: "20" },
      clients: { type: "string", default: "200" },
      every: { type: "string", default: "1000" },
      only: { type: "string", multiple: true, default: [] },
      pairs: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only.filter(isFault);
  if (values.help || only.length < values.only.length) {
    print(USAGE);
    return values.help ? 0 : MISUSED;
  }
  const [minutes, seed, nodes, rooms, clients, everyMs] = [
    values.minutes,
    values.seed,
    values.nodes,
    values.rooms,
    values.clients,
    values.every,
  ].map(Number) as [number, number, number, number, number, number];
  const perRoom = Math.max(2, Math.round(clients / rooms));
  const receiversPerRoom = Math.max(1, Math.round(perRoom / 5));
  const size = { rooms, publishersPerRoom: perRoom - receiversPerRoom, receiversPerRoom, everyMs };
  print(`chaos: --seed ${seed}`);
  const random = seeded(seed);
  let until = performance.now() + minutes * MINUTE_MS;
  const enough = (): void => {
    until = 0;
  };
  for (const signal of SIGNALS) process.once(signal, enough);
  const cluster = await FaultyCluster.start({ nodes });
  if (cluster === undefined) {
    print("redis-server, Java and Maven are needed");
    return MISUSED;
  }
  try {
    let round = 0;
    for (const faults of plan(random, { only, isPaired: nodes > 2, pairsFirst: values.pairs })) {
      if (performance.now() > until) break;
      round += 1;
      const result = await runRound({ cluster, name: `round-${round}`, random, size, faults });
      print(`${round}. ${faults.join(" + ")}: ${summary(result)}`);
      if (isClean(result)) continue;
      for (const line of account(result, cluster)) print(line);
      print(`chaos: a promise was broken in round ${round}; --seed ${seed} chooses the same faults again`);
      return FAILED;
    }
    print(`chaos: ${round} rounds, every promise kept`);
    return 0;
  } finally {
    for (const signal of SIGNALS) process.off(signal, enough);
    await cluster.stop();
  }
}

interface Plan {
  /** Empty: all. */
  readonly only: readonly FaultTitle[];
  /** There are nodes enough for two faults at a time. */
  readonly isPaired: boolean;
  readonly pairsFirst: boolean;
}

/** Without an end: every fault by itself, then two at a time. */
function* plan(random: Random, { only, isPaired, pairsFirst }: Plan): Generator<readonly FaultTitle[]> {
  const titles = only.length > 0 ? only : TITLES;
  for (let pass = pairsFirst ? 1 : 0; ; pass++) {
    for (const title of shuffled(titles, random)) {
      const others = TITLES.filter((other) => goTogether(title, other));
      const other = others[between(random, 0, others.length)];
      const alone = pass === 0 || only.length > 0 || !isPaired || other === undefined;
      yield alone ? [title] : [title, other];
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}
