// All sessions of a node: admits connections, revokes, and says goodbye when the node leaves.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Identity, Revocation } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import type { Hub } from "../fanout/hub.js";
import type { Limiter } from "../limit/limiter.js";
import { Places } from "../limit/places.js";
import type { PresenceCore } from "../presence/presence.js";
import type { Receipts } from "../receipt/receipts.js";
import type { Forwarding, RoomCalls } from "../room/calls.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import type { Signals } from "../signal/signals.js";
import { Relays } from "../subscription/relays.js";
import { SessionConnection } from "./connection.js";
import { SessionsElsewhere } from "./elsewhere.js";
import { Entrance } from "./entrance.js";
import { Farewell } from "./farewell.js";
import { Flusher } from "./flusher.js";
import type { Admission, Connection, ConnectionOrigin, SessionPort, SessionSink } from "./port.js";
import { Registry } from "./registry.js";
import { Requests } from "./requests.js";
import type { SessionServices } from "./services.js";
import { type ChannelReaders, UserChannel } from "./user-channel.js";
import { TimerWheel } from "./wheel.js";

/** Rooms of hellos that are opened at once. */
const OPENINGS = 64;
/**
 * A node without others is its own successor: before it has told everybody, ended and started again nobody is there, for so long in
 * milliseconds, and for half of the time over which clients come back at most.
 */
const RESTART_MS = 1_500;

export class Sessions implements SessionPort, SessionServices {
  readonly deps: CoreDependencies;
  readonly owner: RoomOwner;
  readonly rooms: RoomCalls & Forwarding;
  readonly hub: Hub;
  readonly signals: Signals;
  readonly receipts: Receipts;
  readonly presence: PresenceCore;
  readonly limiter: Limiter;
  readonly places = new Places(OPENINGS);
  readonly relays: Relays;
  readonly flusher: Flusher;
  readonly wheel: TimerWheel;
  readonly registry: Registry;
  readonly elsewhere: SessionsElsewhere | undefined;
  revocations = 0;
  readonly requests = new Requests();
  readonly #entrance: Entrance;
  readonly #farewell: Farewell;
  /** Connections that have no session yet. */
  readonly #greeting = new Set<SessionConnection>();
  /** One for all connections. */
  readonly #greeted = (connection: SessionConnection): void => {
    this.#greeting.delete(connection);
    this.#entrance.freed();
  };
  #draining = false;
  #endRevocations: (() => void) | undefined;

  constructor(
    deps: CoreDependencies,
    owner: RoomOwner,
    rooms: RoomCalls & Forwarding,
    hub: Hub,
    signals: Signals,
    receipts: Receipts,
    presence: PresenceCore,
    limiter: Limiter,
  ) {
    this.deps = deps;
    this.owner = owner;
    this.rooms = rooms;
    this.hub = hub;
    this.signals = signals;
    this.receipts = receipts;
    this.presence = presence;
    this.limiter = limiter;
    this.relays = new Relays(deps.clock);
    this.flusher = new Flusher(deps.clock);
    this.wheel = new TimerWheel(deps.clock);
    this.registry = new Registry(deps, (identity, user) => this.#openChannel(identity, user));
    this.elsewhere = deps.cluster && new SessionsElsewhere(deps, (tenantId) => this.registry.sessionsOf(tenantId));
    this.#entrance = new Entrance(deps.clock, deps.limits, () => this.#greeting.size < deps.limits.maxHandshakes);
    this.#farewell = new Farewell(deps.clock);
  }

  start(): void {
    this.wheel.start();
    this.#endRevocations = this.deps.verifier.onRevoked((revocation) => this.#revoke(revocation));
  }

  admit(): Admission {
    return this.#entrance.admit();
  }

  enter(answer: (admission: Admission) => void): () => void {
    return this.#entrance.enter(answer);
  }

  accept(sink: SessionSink, origin: ConnectionOrigin): Connection {
    const connection = new SessionConnection(this, sink, origin, this.#greeted);
    this.#greeting.add(connection);
    // Admitted before the node began to leave.
    if (this.#draining) connection.close(CloseCode.GOING_AWAY, "the node is leaving");
    return connection;
  }

  draining(): boolean {
    return this.#draining;
  }

  refused(operation: string, { code, message, cause }: TrunklineError): void {
    this.deps.telemetry.emit("request.refused", { operation, code, message, cause });
  }

  /**
   * Finishes what was accepted, then tells everybody to come back, each at another moment within `spreadMs` from being told: from at once
   * where other nodes are there, else when this one may have been started again. Telling takes up to a third of that, and a second at most.
   */
  async drain(spreadMs: number): Promise<void> {
    this.#draining = true;
    this.#entrance.close();
    await Promise.all([this.requests.idle(), this.owner.idle()]);
    this.hub.flush();
    this.flusher.flush();
    this.#refuseGreeting();
    const soonestMs = this.deps.cluster ? 0 : Math.min(RESTART_MS, spreadMs / 2);
    await this.#farewell.say([...this.registry.all()], spreadMs, soonestMs);
  }

  /** Ends every session and timer. */
  stop(): void {
    this.#draining = true;
    this.#entrance.close();
    this.#endRevocations?.();
    this.#refuseGreeting();
    this.#farewell.hurry();
    for (const session of [...this.registry.all()]) session.close(CloseCode.GOING_AWAY, "the node is leaving", 0);
    this.elsewhere?.stop();
    this.wheel.stop();
  }

  #openChannel({ tenantId, userId }: Identity, user: ChannelReaders): UserChannel {
    const { fanout, ids, clock } = this.deps;
    const channel = new UserChannel();
    channel.open(compact(inboxRef(ids, tenantId, userId)), fanout, clock, user);
    return channel;
  }

  #refuseGreeting(): void {
    for (const connection of [...this.#greeting]) connection.close(CloseCode.GOING_AWAY, "the node is leaving");
  }

  #revoke(revocation: Revocation): void {
    this.revocations++;
    for (const session of this.registry.revoked(revocation)) session.close(CloseCode.REVOKED, "access was revoked");
  }
}

/** Made of whole strings: those that are put together hold on to their parts, ten thousand times over. */
function compact({ tenantId, roomId, key }: RoomRef): RoomRef {
  return { tenantId, roomId: whole(roomId), key: whole(key) };
}

function whole(text: string): string {
  return [...text].join("");
}
