// What the limits refuse, and in which words.

import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { OperationClass, Scope } from "./rates.js";

/** What is counted, as details and metrics name it. */
export type Quota =
  | "sessions_per_tenant"
  | "sessions_per_user"
  | "sessions_per_device_kind"
  | "members_per_room"
  | "rooms_per_tenant";

/** What a bucket is of: a class of operations, or all frames of a session; "slow_mode" is a room's rule, and no bucket. */
export type Limited = OperationClass | "frame" | "slow_mode";

const WORDS: Readonly<Record<Limited, string>> = {
  publish: "messages",
  edit: "changes of messages",
  mark: "markers",
  typing: "typing frames",
  signal: "signals",
  presence: "requests about presence",
  read: "reads",
  administer: "changes of rooms and members",
  settings: "changes of settings",
  service: "service calls",
  frame: "frames",
  slow_mode: "messages, for the slow mode",
};

/** RATE_LIMITED that names the bucket. */
export function rateLimited(scope: Scope, of: Limited, waitMs: number): TrunklineError {
  return new TrunklineError(ErrorCode.RATE_LIMITED, `too many ${WORDS[of]} of this ${scope}`, {
    retryAfterMs: waitMs,
    details: { bucket: `${scope}.${of}` },
  });
}
