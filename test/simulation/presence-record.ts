// Whom users are to be seen as: the strongest of what their live devices have chosen.

import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import { Violation } from "./violation.js";

/** The strongest first. */
const STRENGTH = [
  PresenceStatus.INVISIBLE,
  PresenceStatus.DO_NOT_DISTURB,
  PresenceStatus.ONLINE,
  PresenceStatus.AWAY,
] as const;

export interface ChoosingDevice {
  readonly live: boolean;
  readonly presence: PresenceStatus;
}

/** How a user of these devices is to be seen by whoever may see them. */
export function presenceOf(devices: readonly ChoosingDevice[]): PresenceStatus {
  const chosen = devices.filter(({ live }) => live).map(({ presence }) => presence);
  const strongest = STRENGTH.find((status) => chosen.includes(status)) ?? PresenceStatus.OFFLINE;
  return strongest === PresenceStatus.INVISIBLE ? PresenceStatus.OFFLINE : strongest;
}

/** While nothing happens, and long after anything has. */
export function requirePresence(user: string, devices: readonly ChoosingDevice[], seen: PresenceStatus): void {
  const expected = presenceOf(devices);
  if (seen === expected) return;
  throw new Violation("different", `${user} is seen ${PresenceStatus[seen]}, not ${PresenceStatus[expected]}`);
}
