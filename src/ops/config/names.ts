// How an option is called as a flag and as an environment variable.

import { isOptionKey, OPTION_KEYS, type OptionKey } from "./options.js";

export const VARIABLE_PREFIX = "TRUNKLINE_";

/** grpcPort → grpc-port */
export function flagName(key: OptionKey): string {
  return key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

/** grpcPort → TRUNKLINE_GRPC_PORT */
export function variableName(key: OptionKey): string {
  return VARIABLE_PREFIX + flagName(key).replaceAll("-", "_").toUpperCase();
}

/** The option that a variable sets. */
export function keyOfVariable(name: string): OptionKey | undefined {
  return OPTION_KEYS.find((key) => variableName(key) === name);
}

/** The option that a flag (without its dashes) sets. */
export function keyOfFlag(name: string): OptionKey | undefined {
  return OPTION_KEYS.find((key) => flagName(key) === name);
}

/** The option of that name in a file. */
export function keyOfField(name: string): OptionKey | undefined {
  return isOptionKey(name) ? name : undefined;
}
