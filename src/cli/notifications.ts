// trunkline notifications

import { toJson } from "@bufbuild/protobuf";
import { NotificationSchema } from "../gen/trunkline/v1/outlet_pb.js";
import type { Command } from "./command.js";
import { EXIT } from "./exit-code.js";
import { requireEmbedded } from "./require-embedded.js";
import { jsonLines, timeOf, withOutlets } from "./store-outlets.js";

export const notificationsCommand: Command = {
  name: "notifications",
  summary: "the last notifications that were handed over",
  usage: "[--data-directory DIR]",
  description:
    "Prints the last 1,000 notifications of users who were away, the oldest first, one line of JSON each, without what the messages say. The server may run meanwhile.",
  examples: ["trunkline notifications | tail -1"],
  positionals: [],
  flags: {},
  groups: [],
  also: ["config", "dataDirectory"],
  without: [],
  defaults: {},
  run: async ({ config, terminal }) => {
    requireEmbedded(config, "notifications");
    const documents = await withOutlets(config, (outlets) => outlets.notifications());
    const lines = documents.flatMap(({ atMs, notification }) => {
      if (notification === undefined) return [];
      return [{ at: timeOf(atMs), notification: toJson(NotificationSchema, notification) }];
    });
    terminal.out(jsonLines(lines));
    return EXIT.ok;
  },
};
