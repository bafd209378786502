// A client of Kafka for tests: not the one under test, but as quiet.

import { Kafka, logLevel } from "kafkajs";
import { restIdleConnections } from "../../../src/adapters/cluster/kafka/idle-timer.js";

export type { Kafka } from "kafkajs";

/** `brokers`: as a list, or as text with commas between them. */
export function kafkaOf(brokers: string | readonly string[]): Kafka {
  // Without it each idle connection wakes the process a thousand times a second, and Node warns of it.
  restIdleConnections();
  return new Kafka({ brokers: [brokers].flat().flatMap((each) => each.split(",")), logLevel: logLevel.NOTHING });
}
