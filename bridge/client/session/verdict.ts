// Whether and when to come back after a connection has ended: the close code's range decides.

import { ABNORMAL, HEARTBEAT_LOST, SLOW_CONSUMER } from "../close-code.js";
import { RefusedError } from "../error.js";
import type { CloseCode } from "../gen/types.js";
import type { Platform } from "../platform.js";
import type { ClosedReason, LostReason } from "./state.js";

export type Verdict =
  | {
      readonly kind: "wait";
      readonly reason: LostReason;
      readonly delayMs: number;
      readonly freshToken: boolean;
      /** The delay is the server's. */
      readonly stated: boolean;
    }
  | { readonly kind: "stop"; readonly reason: ClosedReason };

export interface Ending {
  /** The WebSocket's close code, or that of the server's goodbye. */
  readonly code: number;
  /** How many attempts in a row have failed before this one; 0: none, or it was live. */
  readonly failures: number;
  /** What the server's goodbye said; 0: nothing. */
  readonly reconnectAfterMs: number;
}

type Chance = Pick<Platform, "random">;

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** Where the server says "later" and not when: from the first, within the second. */
const LATER_MS = 1_000;
const LATER_SPREAD_MS = 9_000;
/** So many times in a row is believed that it is then that the server has time, but for half a second; from then on it may be overwhelmed. */
const TRUSTED_TIMES = 3;

/** Close codes with their names in the contract, which a goodbye has, and what they are here. */
const LOST: readonly (readonly [number, string, LostReason])[] = [
  [HEARTBEAT_LOST, "HEARTBEAT_LOST", "silent"],
  [4100, "GOING_AWAY", "going-away"],
  [SLOW_CONSUMER, "SLOW_CONSUMER", "slow"],
  [4102, "OVERLOADED", "busy"],
  [4103, "UNAVAILABLE", "busy"],
  [4200, "TOKEN_EXPIRED", "token-expired"],
];
const STOPPED: readonly (readonly [number, string, ClosedReason])[] = [
  [4500, "UNAUTHENTICATED", "unauthenticated"],
  [4501, "REPLACED", "replaced"],
  [4502, "KICKED", "kicked"],
  [4503, "REVOKED", "revoked"],
  [4504, "PROTOCOL_ERROR", "protocol"],
  [4505, "TOO_MANY_SESSIONS", "too-many-sessions"],
  [4506, "UNSUPPORTED_PROTOCOL", "protocol"],
];

export function judge({ code, failures, reconnectAfterMs }: Ending, platform: Chance): Verdict {
  if (code >= 4500 && code <= 4999) return { kind: "stop", reason: reasonOf(STOPPED, code) ?? "protocol" };
  const jitteredMs = backoffMs(failures, platform);
  const reason = reasonOf(LOST, code) ?? "unreachable";
  const wait = { kind: "wait", reason, delayMs: jitteredMs, freshToken: false, stated: false } as const;
  if (code >= 4200 && code <= 4299)
    return { ...wait, reason: "token-expired", delayMs: failures && jitteredMs, freshToken: true };
  if (code >= 4100 && code <= 4199) {
    const statedMs = reconnectAfterMs || LATER_MS + platform.random() * LATER_SPREAD_MS;
    const laterMs = Math.max(statedMs, backoffMs(failures - TRUSTED_TIMES, platform));
    return { ...wait, delayMs: Math.round(laterMs), stated: true };
  }
  return wait;
}

/**
 * Full jitter: anywhere between nothing and the bound, so that those who were cut together do not return together. The bound doubles but
 * for two times: within those ten seconds most servers that are started anew are there.
 */
export function backoffMs(failures: number, platform: Chance): number {
  return Math.round(
    platform.random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, Math.max(3, failures - 2))),
  );
}

/** How long to leave what was refused, or not answered: as the server said at least. */
export function againMs(error: unknown, failures: number, platform: Chance): number {
  const { retryAfterMs = 0 } = error instanceof RefusedError ? error : {};
  return Math.max(retryAfterMs, backoffMs(failures, platform));
}

function reasonOf<Reason>(codes: readonly (readonly [number, string, Reason])[], code: number): Reason | undefined {
  return codes.find(([number]) => number === code)?.[2];
}

/** The number of a goodbye's reason. */
export function closeNumber(reason: CloseCode): number {
  if (typeof reason === "number") return reason;
  return [...LOST, ...STOPPED].find(([, name]) => reason === `CLOSE_CODE_${name}`)?.[0] ?? ABNORMAL;
}

/** A code that is taken for this reason. */
export function codeFor(reason: LostReason | ClosedReason): number {
  return [...LOST, ...STOPPED].find(([, , told]) => told === reason)?.[0] ?? ABNORMAL;
}
