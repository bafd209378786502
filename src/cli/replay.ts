// trunkline replay

import type { Command } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";
import { STORE_OPTIONS, withDeadLetters } from "./store-outlets.js";

const ALL = "all";

export const replayCommand: Command = {
  name: "replay",
  summary: "have dead letters tried once more",
  usage: "ID|all [--data-directory DIR | --engine cluster] [options]",
  description:
    "Asks that a dead letter, or all of them, be tried once more: within seconds where a server runs, else when one is started. What the webhook takes is no dead letter any more; what it does not take stays, with the new reason. Replayed events come after later ones of their room.",
  examples: ["trunkline replay all", "trunkline dead-letters"],
  positionals: ["ID"],
  flags: {},
  groups: [],
  also: STORE_OPTIONS,
  without: [],
  defaults: {},
  run: async ({ config, positionals: [id = ""], terminal }) => {
    const asked = await withDeadLetters(config, async (outlets) => {
      const letters = (await outlets.deadLetters()).filter(({ letter }) => id === ALL || letter.letterId === id);
      for (const letter of letters) await outlets.retry(letter);
      return letters.length;
    });
    if (asked === 0 && id !== ALL) throw new CommandError(`there is no dead letter ${id}`, EXIT.failed);
    terminal.out(`${asked} to be tried once more\n`);
    return EXIT.ok;
  },
};
