// Times, sizes and reasons, for people.

import type { ClosedReason, ConnectionState, LostReason } from "../../client/session/state.js";

const DAY_MS = 86_400_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const FULL_DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });

/** "14:05" */
export function timeOf(ms: number): string {
  return TIME.format(ms);
}

/** "21 November 2026 at 14:05" */
export function momentOf(ms: number): string {
  return MOMENT.format(ms);
}

/** Tells days apart. */
export function dayKey(ms: number): string {
  return new Date(ms).toDateString();
}

/** "Today", "Yesterday", "Tuesday", "3 November", "3 November 2025". */
export function dayOf(ms: number, nowMs: number): string {
  const days = Math.round((startOfDay(nowMs) - startOfDay(ms)) / DAY_MS);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return WEEKDAY.format(ms);
  return new Date(ms).getFullYear() === new Date(nowMs).getFullYear() ? DATE.format(ms) : FULL_DATE.format(ms);
}

/** The time of today, the day of before. */
export function shortMoment(ms: number, nowMs: number): string {
  return dayKey(ms) === dayKey(nowMs) ? timeOf(ms) : dayOf(ms, nowMs);
}

function startOfDay(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** "240 B", "1.2 KiB", "3.4 MiB" */
export function sizeOf(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

const LOST: Readonly<Record<LostReason, string>> = {
  offline: "You are offline",
  unreachable: "The connection was lost",
  silent: "The connection went silent",
  "going-away": "The server is restarting",
  slow: "This device could not keep up",
  busy: "The server is busy",
  "token-expired": "The token has expired",
  "no-token": "No token could be had",
};

const CLOSED: Readonly<Record<ClosedReason, string>> = {
  closed: "Disconnected",
  unauthenticated: "The token was refused",
  replaced: "This device has connected elsewhere",
  kicked: "You were disconnected by an administrator",
  revoked: "The token was revoked",
  protocol: "This page and the server do not understand each other",
  "too-many-sessions": "You are connected too many times",
};

/** What the connection is doing, and why. */
export function stateText(state: ConnectionState): string {
  switch (state.status) {
    case "idle":
      return "Not connected";
    case "connecting":
      return "Connecting…";
    case "live":
      return "Live";
    case "closed":
      return CLOSED[state.reason];
    case "waiting":
      return LOST[state.reason];
  }
}

/** "reconnecting in 3 s"; empty where that is not planned. */
export function countdownText(state: ConnectionState, nowMs: number): string {
  if (state.status !== "waiting" || state.untilMs === undefined) return "";
  const seconds = Math.ceil((state.untilMs - nowMs) / 1_000);
  return `reconnecting ${seconds <= 0 ? "now" : `in ${seconds} s`}`;
}
