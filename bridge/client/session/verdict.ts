// Whether and when to come back after a connection has ended: the close code's range decides.

import type { CloseCode } from "../gen/types.js";
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

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** Where the server says "later" and not when: from the first, within the second. */
const LATER_MS = 1_000;
const LATER_SPREAD_MS = 9_000;
/** So many times in a row is believed that it is then that the server has time, but for half a second; from then on it may be overwhelmed. */
const TRUSTED_TIMES = 3;

/** The longest that a timer can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Nobody said why. */
export const ABNORMAL = 1006;
/** The contract's reasons of a goodbye. The close code says the same where it arrives. */
const CLOSE_NUMBERS: Readonly<Record<string, number>> = {
  CLOSE_CODE_HEARTBEAT_LOST: 4000,
  CLOSE_CODE_GOING_AWAY: 4100,
  CLOSE_CODE_SLOW_CONSUMER: 4101,
  CLOSE_CODE_OVERLOADED: 4102,
  CLOSE_CODE_UNAVAILABLE: 4103,
  CLOSE_CODE_TOKEN_EXPIRED: 4200,
  CLOSE_CODE_UNAUTHENTICATED: 4500,
  CLOSE_CODE_REPLACED: 4501,
  CLOSE_CODE_KICKED: 4502,
  CLOSE_CODE_REVOKED: 4503,
  CLOSE_CODE_PROTOCOL_ERROR: 4504,
  CLOSE_CODE_TOO_MANY_SESSIONS: 4505,
  CLOSE_CODE_UNSUPPORTED_PROTOCOL: 4506,
};

const LOST = new Map<number, LostReason>([
  [4000, "silent"],
  [4100, "going-away"],
  [4101, "slow"],
  [4102, "busy"],
  [4103, "busy"],
  [4200, "token-expired"],
]);
const STOPPED = new Map<number, ClosedReason>([
  [4500, "unauthenticated"],
  [4501, "replaced"],
  [4502, "kicked"],
  [4503, "revoked"],
  [4504, "protocol"],
  [4505, "too-many-sessions"],
]);

/** @param random From 0 to 1. */
export function judge({ code, failures, reconnectAfterMs }: Ending, random: () => number): Verdict {
  if (code >= 4500 && code <= 4999) return { kind: "stop", reason: STOPPED.get(code) ?? "protocol" };
  const jitteredMs = backoffMs(failures, random);
  const reason = LOST.get(code) ?? "unreachable";
  const wait = { kind: "wait", reason, delayMs: jitteredMs, freshToken: false, stated: false } as const;
  if (code >= 4200 && code <= 4299)
    return { ...wait, reason: "token-expired", delayMs: failures && jitteredMs, freshToken: true };
  if (code >= 4100 && code <= 4199) {
    const statedMs = reconnectAfterMs || LATER_MS + random() * LATER_SPREAD_MS;
    const laterMs = Math.max(statedMs, backoffMs(failures - TRUSTED_TIMES, random));
    return { ...wait, delayMs: Math.round(Math.min(laterMs, LONGEST_TIMER_MS)), stated: true };
  }
  return wait;
}

/**
 * Full jitter: anywhere between nothing and the bound, so that those who were cut together do not return together. The bound doubles but
 * for two times: within those ten seconds most servers that are started anew are there.
 */
export function backoffMs(failures: number, random: () => number): number {
  return Math.round(
    random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, Math.max(3, failures - 2))),
  );
}

/** The number of a goodbye's reason. */
export function closeNumber(reason: CloseCode): number {
  return typeof reason === "number" ? reason : (CLOSE_NUMBERS[reason] ?? ABNORMAL);
}

/** A code that is taken for this reason. */
export function codeFor(reason: LostReason | ClosedReason): number {
  return [...LOST, ...STOPPED].find(([, told]) => told === reason)?.[0] ?? ABNORMAL;
}
