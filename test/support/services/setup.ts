// Finds or starts the services before the tests of the cluster, all at the same time, and ends those that it has started.

import type { TestProject } from "vitest/node";
import { startKafka } from "./kafka.js";
import { startMongo } from "./mongo.js";
import { startRedis } from "./redis.js";
import { type RunningService, SERVICES, type Service } from "./service.js";

const STARTERS: Readonly<Record<Service, () => Promise<RunningService | undefined>>> = {
  redis: startRedis,
  kafka: startKafka,
  mongo: startMongo,
};

const running: RunningService[] = [];

export async function setup(project: TestProject): Promise<void> {
  const [redis, kafka, mongo] = await Promise.all([provide("redis"), provide("kafka"), provide("mongo")]);
  project.provide("services", { redis, kafka, mongo });
}

export async function teardown(): Promise<void> {
  await Promise.all(running.splice(0).map((service) => service.stop()));
}

async function provide(service: Service): Promise<{ readonly url: string; readonly missing: string }> {
  const { variable, needs } = SERVICES[service];
  const named = process.env[variable] ?? "";
  if (named !== "") return { url: named, missing: "" };
  try {
    const started = await STARTERS[service]();
    if (started === undefined) return { url: "", missing: `set ${variable}, or install ${needs}` };
    running.push(started);
    return { url: started.url, missing: "" };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`${service} could not be started: ${reason}`);
    return { url: "", missing: `${service} could not be started` };
  }
}
