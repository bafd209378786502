// trunkline dead-letters

import type { Command } from "./command.js";
import { EXIT } from "./exit-code.js";
import { jsonLines, STORE_OPTIONS, timeOf, withDeadLetters } from "./store-outlets.js";

export const deadLettersCommand: Command = {
  name: "dead-letters",
  summary: "what webhooks did not take",
  usage: "[--data-directory DIR | --engine cluster] [options]",
  description:
    "Prints which events were given up because a webhook did not take them for too long, one line of JSON each, the oldest first. The server may run meanwhile. Of a cluster, those in its MongoDB are printed. `trunkline replay` has them tried once more.",
  examples: ["trunkline dead-letters", "trunkline replay all"],
  positionals: [],
  flags: {},
  groups: [],
  also: STORE_OPTIONS,
  without: [],
  defaults: {},
  run: async ({ config, terminal }) => {
    const found = await withDeadLetters(config, async (letters) => letters.deadLetters());
    const lines = found.map(({ outlet, letter }) => {
      const { letterId: id, tenantId, roomId, firstSeq, lastSeq, tries, sinceMs, atMs, reason } = letter;
      return {
        id,
        outlet,
        tenantId,
        roomId,
        firstSeq,
        lastSeq,
        tries,
        since: timeOf(sinceMs),
        at: timeOf(atMs),
        reason,
      };
    });
    terminal.out(jsonLines(lines));
    return EXIT.ok;
  },
};
