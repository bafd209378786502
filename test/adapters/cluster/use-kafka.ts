// Logs of the tests on a real Kafka: each suite has a topic of its own.

import { randomUUID } from "node:crypto";
import type { KafkaEventLog } from "../../../src/adapters/cluster/event-log.js";
import { type ClusterEventLogOptions, openEventLog } from "../../../src/adapters/cluster/open-event-log.js";
import { createSystemClock } from "../../../src/ops/clock.js";

/** The one broker of the tests is all the replicas there are. */
export function kafkaOptions(url: string, differing: Partial<ClusterEventLogOptions> = {}): ClusterEventLogOptions {
  return {
    brokers: url.split(","),
    topicPrefix: `test-${randomUUID()}`,
    shards: 3,
    replication: 1,
    allowUnsafe: true,
    node: "node-1",
    archived: () => 0,
    clock: createSystemClock(),
    ...differing,
  };
}

export function openLog(url: string, differing: Partial<ClusterEventLogOptions> = {}): Promise<KafkaEventLog> {
  return openEventLog(kafkaOptions(url, differing));
}
