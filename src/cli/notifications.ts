// trunkline notifications

import { toJson } from "@bufbuild/protobuf";
import { reasonOf } from "../backbone/dependency.js";
import { NotificationSchema } from "../gen/trunkline/v1/outlet_pb.js";
import { createSystemClock } from "../ops/clock.js";
import type { Config } from "../ops/config/options.js";
import { kafkaOptions } from "./cluster-options.js";
import type { Command } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";
import { jsonLines, timeOf, withOutlets } from "./store-outlets.js";

export const notificationsCommand: Command = {
  name: "notifications",
  summary: "the last notifications that were handed over",
  usage: "[--data-directory DIR | --engine cluster] [options]",
  description:
    "Prints the last 1,000 notifications of users who were away, the oldest first, one line of JSON each, without what the messages say. The server may run meanwhile. Of a cluster, those in its topic are printed, by when their last message was sent; one that was written again is there twice.",
  examples: ["trunkline notifications | tail -1"],
  positionals: [],
  flags: {},
  groups: [],
  also: [
    "config",
    "engine",
    "dataDirectory",
    "clusterName",
    "kafkaBrokers",
    "kafkaInsecure",
    "kafkaCa",
    "kafkaClientCert",
    "kafkaClientKey",
    "kafkaSasl",
    "kafkaUser",
    "kafkaPasswordFile",
  ],
  without: [],
  defaults: {},
  run: async ({ config, terminal }) => {
    if (config.engine === "cluster") {
      terminal.out(jsonLines(await ofCluster(config)));
      return EXIT.ok;
    }
    const documents = await withOutlets(config, (outlets) => outlets.notifications());
    const lines = documents.flatMap(({ atMs, notification }) => {
      if (notification === undefined) return [];
      return [{ at: timeOf(atMs), notification: toJson(NotificationSchema, notification) }];
    });
    terminal.out(jsonLines(lines));
    return EXIT.ok;
  },
};

/** As many as the embedded store keeps. */
const LIMIT = 1_000;

async function ofCluster(config: Config): Promise<readonly unknown[]> {
  const { brokers, tls, sasl } = kafkaOptions(config);
  const connection = { brokers, ...(tls && { tls }), ...(sasl && { sasl }) };
  try {
    const options = { ...connection, topicPrefix: config.clusterName, clock: createSystemClock(), limit: LIMIT };
    const { readNotifications } = await import("../adapters/cluster/read-notifications.js");
    const notifications = await readNotifications(options);
    return notifications.map((notification) => ({ notification: toJson(NotificationSchema, notification) }));
  } catch (error) {
    throw new CommandError(`Kafka: ${reasonOf(error)}`, EXIT.unavailable, { cause: error });
  }
}
