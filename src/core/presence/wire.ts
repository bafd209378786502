// Presence as frames say it, and what may be said.

import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  LastSeenVisibility,
  type Presence,
  PresenceSchema,
  PresenceStatus,
} from "../../gen/trunkline/v1/session_pb.js";
import { TrunklineError } from "../../ports/error.js";
import { type PresenceChoice, strength, type UserPresence } from "../../ports/session-directory.js";
import { utf8Length } from "../validate.js";

const MAX_TEXT_BYTES = 128;

export function wirePresence({ userId, status, text, untilMs, lastSeenMs }: UserPresence): Presence {
  return create(PresenceSchema, {
    userId,
    status,
    text,
    until: untilMs === undefined ? undefined : timestampFromMs(untilMs),
    lastSeen: lastSeenMs === undefined ? undefined : timestampFromMs(lastSeenMs),
  });
}

/** How somebody looks of whom nothing may be told. */
export function offline(userId: string): Presence {
  return create(PresenceSchema, { userId, status: PresenceStatus.OFFLINE });
}

export function isOnline({ status }: { readonly status: PresenceStatus }): boolean {
  return status !== PresenceStatus.OFFLINE;
}

interface SetPresenceFields {
  readonly status: PresenceStatus;
  readonly text: string;
  readonly until?: Timestamp | undefined;
  readonly lastSeenVisibility: LastSeenVisibility;
}

/** What is to be set; throws where it cannot be. `prefix` names the request's fields in refusals. */
export function choiceOf(prefix: string, fields: SetPresenceFields): PresenceChoice {
  const { status, text, until, lastSeenVisibility } = fields;
  if (strength(status) === 0) {
    throw TrunklineError.invalid(`${prefix}status`, "must be ONLINE, AWAY, DO_NOT_DISTURB or INVISIBLE");
  }
  if (utf8Length(text) > MAX_TEXT_BYTES) throw TrunklineError.tooLarge(`${prefix}text`, MAX_TEXT_BYTES);
  if (LastSeenVisibility[lastSeenVisibility] === undefined) {
    throw TrunklineError.invalid(`${prefix}last_seen_visibility`, "is not one that this server knows");
  }
  return { status, text, untilMs: until === undefined ? undefined : timestampMs(until) };
}
