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

/** While nothing happens, and long after anything has. */
export function requirePresence(user: string, devices: readonly ChoosingDevice[], seen: PresenceStatus): void {
  const chosen = devices.filter(({ live }) => live).map(({ presence }) => presence);
  const strongest = STRENGTH.find((status) => chosen.includes(status)) ?? PresenceStatus.OFFLINE;
  const expected = strongest === PresenceStatus.INVISIBLE ? PresenceStatus.OFFLINE : strongest;
  if (seen === expected) return;
  throw new Violation("different", `${user} is seen ${PresenceStatus[seen]}, not ${PresenceStatus[expected]}`);
}
