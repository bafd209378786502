// The services of a cluster under test: those that the environment names, else programs of this machine, started as the tests start them.

import { startKafka } from "../../test/support/services/kafka.js";
import { startMongo } from "../../test/support/services/mongo.js";
import { startRedis } from "../../test/support/services/redis.js";
import { type RunningService, SERVICES, type Service } from "../../test/support/services/service.js";

export interface BenchService {
  readonly name: Service;
  readonly url: string;
  /** Undefined: it is not ours, and its CPU not known. */
  readonly pid: number | undefined;
}

export interface BenchServices {
  readonly all: readonly BenchService[];
  /** Whether MongoDB is the tests' stand-in, which shows no speed of a real one. */
  readonly mongoIsStandIn: boolean;
  urlOf(name: Service): string;
  stop(): Promise<void>;
}

const STARTERS: Readonly<Record<Service, () => Promise<RunningService | undefined>>> = {
  redis: startRedis,
  kafka: startKafka,
  mongo: startMongo,
};
const NAMES: readonly Service[] = ["redis", "kafka", "mongo"];

/** Rejects with what is missing. */
export async function startServices(): Promise<BenchServices> {
  const started: RunningService[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.splice(0).map((service) => service.stop()));
  };
  try {
    const all: BenchService[] = [];
    for (const name of NAMES) all.push(await provide(name, started));
    return {
      all,
      mongoIsStandIn: all.some(({ name, pid }) => name === "mongo" && pid !== undefined),
      urlOf: (name) => all.find((service) => service.name === name)?.url ?? "",
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function provide(name: Service, started: RunningService[]): Promise<BenchService> {
  const { variable, needs } = SERVICES[name];
  const named = process.env[variable] ?? "";
  if (named !== "") return { name, url: named, pid: undefined };
  const service = await STARTERS[name]();
  if (service === undefined) throw new Error(`set ${variable}, or install ${needs}`);
  started.push(service);
  return { name, url: service.url, pid: service.pid };
}
