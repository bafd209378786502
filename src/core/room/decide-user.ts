// The judgement of commands about what users keep for themselves, in their inboxes.

import { create } from "@bufbuild/protobuf";
import { MessageHiddenSchema, SettingChangedSchema, UserBlockedSchema } from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Command, EventKind } from "./command.js";
import type { RoomState } from "./state.js";
import type { UserState } from "./user-state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

const MAX_SETTINGS = 200;
/** All keys and values together, in bytes: they are written again with every event of the inbox. */
const MAX_SETTINGS_BYTES = 128 * 1024;
const MAX_BLOCKED = 1_000;

/** All of the settings, or none. One that is as it was asked to be makes no event. */
export function decideSettings(state: RoomState, { settings }: Of<"setSettings">): readonly EventKind[] {
  const events: EventKind[] = [];
  let count = state.user.settings.size;
  let bytes = bytesOf(state.user);
  for (const [index, { key, value, baseVersion }] of settings.entries()) {
    const now = state.user.settings.get(key);
    const { version = 0 } = now ?? {};
    if (baseVersion !== 0 && baseVersion !== version) {
      throw new TrunklineError(ErrorCode.CONFLICT, "the setting has changed since", {
        field: `settings[${index}].version`,
        details: { current_version: String(version) },
      });
    }
    if (same(now?.value ?? NOTHING, value)) continue;
    count += Number(value.length > 0) - Number(now !== undefined);
    bytes += sizeOf(key, value) - (now === undefined ? 0 : sizeOf(key, now.value));
    // What is removed has no version any more.
    const next = value.length === 0 ? 0 : version + 1;
    events.push({ case: "settingChanged", value: create(SettingChangedSchema, { key, value, version: next }) });
  }
  if (count > MAX_SETTINGS) throw tooMany("settings", MAX_SETTINGS);
  if (bytes > MAX_SETTINGS_BYTES) throw tooMany("bytes of settings", MAX_SETTINGS_BYTES);
  return events;
}

export function decideBlock(state: RoomState, { other, blocked }: Of<"block">): readonly EventKind[] {
  if (state.user.blocked.has(other) === blocked) return [];
  if (blocked && state.user.blocked.size >= MAX_BLOCKED) throw tooMany("users blocked", MAX_BLOCKED);
  return [{ case: "userBlocked", value: create(UserBlockedSchema, { userId: other, blocked }) }];
}

export function decideHide({ roomId, messageId, messageIndex }: Of<"hide">): readonly EventKind[] {
  return [{ case: "messageHidden", value: create(MessageHiddenSchema, { roomId, messageId, messageIndex }) }];
}

const NOTHING = new Uint8Array();

function bytesOf({ settings }: UserState): number {
  let bytes = 0;
  for (const { key, value } of settings.values()) bytes += sizeOf(key, value);
  return bytes;
}

function sizeOf(key: string, value: Uint8Array): number {
  return value.length === 0 ? 0 : key.length + value.length;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function tooMany(what: string, limit: number): TrunklineError {
  return new TrunklineError(ErrorCode.LIMIT_EXCEEDED, `too many ${what}`, { details: { limit: String(limit) } });
}
