// Whether and when to come back after a connection has ended: the close code's range decides.

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
  /** How many attempts in a row have failed before this one; 0: it was live. */
  readonly failures: number;
  /** What the server's goodbye said; 0: nothing. */
  readonly reconnectAfterMs: number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** Where the server says "later" and not when. */
const LATER_MS = { from: 1_000, to: 10_000 };

const LOST = new Map<number, LostReason>([
  [4000, "silent"],
  [4100, "going-away"],
  [4101, "slow"],
  [4102, "busy"],
  [4103, "busy"],
]);
const STOPPED = new Map<number, ClosedReason>([
  [4500, "unauthenticated"],
  [4501, "replaced"],
  [4502, "kicked"],
  [4503, "revoked"],
  [4505, "too-many-sessions"],
]);

/** @param random From 0 to 1. */
export function judge({ code, failures, reconnectAfterMs }: Ending, random: () => number): Verdict {
  if (code >= 4500 && code <= 4999) return { kind: "stop", reason: STOPPED.get(code) ?? "protocol" };
  const jitteredMs = backoffMs(failures, random);
  const reason = LOST.get(code) ?? "unreachable";
  const wait = { kind: "wait", reason, delayMs: jitteredMs, freshToken: false, stated: false } as const;
  if (code >= 4200 && code <= 4299)
    return { ...wait, reason: "token-expired", delayMs: failures === 0 ? 0 : jitteredMs, freshToken: true };
  if (code >= 4100 && code <= 4199) {
    const statedMs = reconnectAfterMs || LATER_MS.from + random() * (LATER_MS.to - LATER_MS.from);
    return { ...wait, delayMs: Math.round(Math.max(statedMs, failures === 0 ? 0 : jitteredMs)), stated: true };
  }
  return wait;
}

/** Full jitter: anywhere between nothing and the bound, so that those who were cut together do not return together. */
export function backoffMs(failures: number, random: () => number): number {
  return Math.round(random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10)));
}
