// Suites that need a whole cluster: Redis, Kafka and MongoDB.

import { describe } from "vitest";
import { describeWith } from "../services/describe-with.js";
import type { Service } from "../services/service.js";

/** Where the services are that the nodes of a cluster share. */
export type ClusterServices = Readonly<Record<Service, string>>;

/** `describe`, with the addresses of all services; skipped where one is missing, which its title says. In CI that fails. */
export function describeCluster(title: string, body: (services: ClusterServices) => void): void {
  describe(title, () => {
    describeWith("redis", "with Redis", (redis) => {
      describeWith("kafka", "with Kafka", (kafka) => {
        describeWith("mongo", "with MongoDB", (mongo) => body({ redis, kafka, mongo }));
      });
    });
  });
}
