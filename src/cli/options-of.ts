// Which options a command takes as flags.

import { declared, groups } from "../ops/config/document.js";
import type { OptionGroup, OptionKey } from "../ops/config/options.js";
import type { Command } from "./command.js";

/** The command's options by group, in order, without secrets, which are never flags. */
export function groupsOf(
  command: Command,
): readonly { readonly title: OptionGroup; readonly keys: readonly OptionKey[] }[] {
  return groups()
    .map(({ title, keys }) => ({
      title,
      keys: keys.filter(
        (key) =>
          (command.groups.includes(title) || command.also.includes(key)) &&
          !declared(key).secret &&
          !command.without.includes(key),
      ),
    }))
    .filter(({ keys }) => keys.length > 0);
}

/** All of them in one list. */
export function optionsOf(command: Command): readonly OptionKey[] {
  return groupsOf(command).flatMap(({ keys }) => keys);
}
