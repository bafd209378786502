// What a user wants to be notified of: settings of theirs whose keys the server knows.

import type { UserSetting } from "../../gen/trunkline/store/v1/documents_pb.js";
import { TrunklineError } from "../../ports/error.js";

/** The setting for all rooms that have none of their own; one room's has the room's id behind it, after a colon. */
const KEY = "~notify";

const LEVELS = ["all", "mentions", "none"] as const;

/** Of which messages of a room a user is notified: of all, of those that name them, of none. */
export type NotifyLevel = (typeof LEVELS)[number];

const LONGEST = 8;

/** What the settings say of a room. Not set: all. */
export function levelOf(settings: ReadonlyMap<string, UserSetting>, roomId: string): NotifyLevel {
  const setting = settings.get(`${KEY}:${roomId}`) ?? settings.get(KEY);
  return (setting && parse(setting.value)) ?? "all";
}

/** Throws where a setting that the server knows has a value that it does not. Empty: it is removed. */
export function validateLevel(field: string, key: string, value: Uint8Array): void {
  if (key !== KEY && !key.startsWith(`${KEY}:`)) return;
  if (value.length > 0 && parse(value) === undefined) {
    throw TrunklineError.invalid(field, `must be one of ${LEVELS.join(", ")}`);
  }
}

function parse(value: Uint8Array): NotifyLevel | undefined {
  if (value.length > LONGEST) return undefined;
  const text = String.fromCharCode(...value);
  return LEVELS.find((level) => level === text);
}
