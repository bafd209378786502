// What sessions share: the rest of the core as they see it.

import type { TrunklineError } from "../../ports/error.js";
import type { CoreDependencies } from "../core.js";
import type { Hub } from "../fanout/hub.js";
import type { Limiter } from "../limit/limiter.js";
import type { Places } from "../limit/places.js";
import type { PresenceCore } from "../presence/presence.js";
import type { Receipts } from "../receipt/receipts.js";
import type { Forwarding, RoomCalls } from "../room/calls.js";
import type { RoomOwner } from "../room/owner.js";
import type { Signals } from "../signal/signals.js";
import type { Relays } from "../subscription/relays.js";
import type { SessionsElsewhere } from "./elsewhere.js";
import type { Flusher } from "./flusher.js";
import type { Registry } from "./registry.js";
import type { Requests } from "./requests.js";
import type { TimerWheel } from "./wheel.js";

export interface SessionServices {
  readonly deps: CoreDependencies;
  readonly owner: RoomOwner;
  readonly rooms: RoomCalls & Forwarding;
  readonly hub: Hub;
  readonly relays: Relays;
  readonly signals: Signals;
  readonly receipts: Receipts;
  readonly presence: PresenceCore;
  readonly limiter: Limiter;
  /** Rooms of hellos that are opened at once: a node that everybody comes back to does not try all at the same time. */
  readonly places: Places;
  readonly flusher: Flusher;
  readonly wheel: TimerWheel;
  readonly registry: Registry;
  /** Undefined: there are no other nodes. */
  readonly elsewhere: SessionsElsewhere | undefined;
  readonly requests: Requests;
  /** Rises with each revocation: what was verified before one may be revoked by it. */
  readonly revocations: number;
  /** Whether the node is leaving and takes no new requests. */
  draining(): boolean;
  /** A request was refused: for whoever watches the node. */
  refused(operation: string, error: TrunklineError): void;
}
