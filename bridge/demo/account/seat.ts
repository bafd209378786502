// Who sits at this page: kept for a reload of this tab, without the token.

export interface Seat {
  readonly userId: string;
  readonly name: string;
}

const SEAT = "seat";
const DEVICE = "device";
const ID_LENGTH = 22;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Ids allow [A-Za-z0-9._:~-]; what else a name holds is written as its code, so that different names stay different. */
export function idOf(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll(/\s+/g, "-");
  const id = plain.replaceAll(/[^a-z0-9._-]/gu, (letter) => `:${letter.codePointAt(0)?.toString(16)}`);
  return id.slice(0, 120);
}

/** @param kept Whether a reload finds it again. */
export function takeSeat(name: string, kept: boolean): Seat {
  const seat = { userId: idOf(name), name };
  if (kept) sessionStorage.setItem(SEAT, JSON.stringify(seat));
  return seat;
}

export function leaveSeat(): void {
  sessionStorage.removeItem(SEAT);
}

export function keptSeat(): Seat | undefined {
  const seat: Seat | null = JSON.parse(sessionStorage.getItem(SEAT) ?? "null");
  return seat ?? undefined;
}

/** 22 random characters: `crypto.randomUUID` is missing where a page comes from a plain-HTTP address of the local network. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(ID_LENGTH)), (byte) => LETTERS[byte & 63]).join("");
}

/** A tab is a device; a reload keeps it. */
export function deviceId(): string {
  const kept = sessionStorage.getItem(DEVICE);
  if (kept !== null) return kept;
  const fresh = randomId();
  sessionStorage.setItem(DEVICE, fresh);
  return fresh;
}

/** A duplicated tab has its original's device, and the two would go on replacing each other. */
export function forgetDevice(): void {
  sessionStorage.removeItem(DEVICE);
}
