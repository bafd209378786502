// Who sits at this page: kept for a reload of this tab, without the token.

import { keptInTab } from "../parts/kept.js";
import { claimsOf } from "./claims.js";

export interface Seat {
  readonly userId: string;
  readonly name: string;
  /** Undefined: not known before there is a connection. */
  readonly tenantId?: string | undefined;
}

const SEAT = "seat";

/** Ids allow [A-Za-z0-9._:~-]; what else a name holds is written as its code, so that different names stay different. */
export function idOf(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll(/\s+/g, "-");
  const id = plain.replaceAll(/[^a-z0-9._-]/gu, (letter) => `:${letter.codePointAt(0)?.toString(16)}`);
  return id.slice(0, 120);
}

/**
 * The seat of whom the token is for; where it does not say, of whom the name is.
 * @param kept Whether a reload finds it again.
 */
export function takeSeat(name: string, token: string, kept: boolean): Seat {
  const claims = claimsOf(token);
  const seat: Seat = { userId: claims?.userId ?? idOf(name), name: claims?.name || name, tenantId: claims?.tenantId };
  if (kept) keptInTab.set(SEAT, JSON.stringify(seat));
  return seat;
}

export function leaveSeat(): void {
  keptInTab.set(SEAT, "null");
}

export function keptSeat(): Seat | undefined {
  const seat: Seat | null = JSON.parse(keptInTab.get(SEAT) ?? "null");
  return seat ?? undefined;
}
