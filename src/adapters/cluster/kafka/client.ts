// kafkajs for what it is good at: administration, and reading as one of a group.

import kafkajs from "kafkajs";
import { restIdleConnections } from "./idle-timer.js";
import { CONNECT_DEADLINE_MS, DEFAULT_CLIENT_ID, type KafkaConnectionOptions, kafkaSasl, kafkaTls } from "./options.js";

// Node finds no names in this CommonJS package.
const { Kafka, logLevel } = kafkajs;

const REQUEST_DEADLINE_MS = 10_000;

/** Says nothing of its own: what goes wrong is thrown to whoever asked. */
export function kafkaClient(connection: KafkaConnectionOptions): kafkajs.Kafka {
  restIdleConnections();
  const sasl = kafkaSasl(connection);
  return new Kafka({
    brokers: [...connection.brokers],
    clientId: connection.clientId ?? DEFAULT_CLIENT_ID,
    ssl: kafkaTls(connection) ?? false,
    ...(sasl === undefined ? {} : { sasl }),
    connectionTimeout: CONNECT_DEADLINE_MS,
    requestTimeout: REQUEST_DEADLINE_MS,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logLevel.NOTHING,
  });
}
