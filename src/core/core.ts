// The core as transports and the backbone see it.

import type { DeliveryService } from "../gen/trunkline/v1/delivery_pb.js";
import type { PresenceService } from "../gen/trunkline/v1/presence_pb.js";
import type { Archive } from "../ports/archive.js";
import type { Clock } from "../ports/clock.js";
import type { EventLog } from "../ports/event-log.js";
import type { Fanout } from "../ports/fanout.js";
import type { PeerHandler, Peers } from "../ports/peers.js";
import type { Placement } from "../ports/placement.js";
import type { RateShares } from "../ports/rate-shares.js";
import type { SessionDirectory } from "../ports/session-directory.js";
import type { TenantSessions } from "../ports/tenant-sessions.js";
import type { TokenVerifier } from "../ports/token-verifier.js";
import type { NodePassing } from "./cluster/passing-port.js";
import type { AccessHookRules, PublishHookRules } from "./hook/rules.js";
import type { Limits } from "./limit/limits.js";
import type { TenantLimits } from "./limit/tenants.js";
import type { OutletOptions } from "./outlet/options.js";
import type { Caller, RoomCalls } from "./room/calls.js";
import type { ShardStatus } from "./room/shard-status.js";
import type { ServiceCalls } from "./service-calls.js";
import type { SessionPort } from "./session/port.js";
import type { Telemetry } from "./telemetry.js";

/** Ids and digests: injected, because the core uses no Node module and tests want them repeatable. */
export interface Ids {
  /** A new unguessable id, 22 characters of [A-Za-z0-9_-]. */
  random(): string;
  /** 22 characters of [A-Za-z0-9_-] of a cryptographic digest of the text. */
  digest(text: string): string;
}

/** What makes several nodes one. */
export interface ClusterParts {
  /** Started by the core, and left when it drains. */
  readonly placement: Placement;
  /** Stopped with the core. */
  readonly peers: Peers;
  /** What nodes share of the rates of users and tenants. Undefined: each node grants the whole of them. */
  readonly rateShares?: RateShares | undefined;
  /** How many sessions of tenants nodes have. Undefined: each node counts its own. */
  readonly tenantSessions?: TenantSessions | undefined;
}

export interface CoreDependencies {
  readonly log: EventLog;
  readonly archive: Archive;
  readonly fanout: Fanout;
  /** Stopped with the core. */
  readonly directory: SessionDirectory;
  readonly verifier: TokenVerifier;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly telemetry: Telemetry;
  /** What holds whoever's it is. */
  readonly limits: Limits;
  /** The application's say in what is published. */
  readonly publishHook?: PublishHookRules | undefined;
  /** The application's say in who is in a room and may do what. */
  readonly accessHook?: AccessHookRules | undefined;
  /** What may differ from tenant to tenant. */
  readonly tenants: TenantLimits;
  /** How busy this process is, 0 to 1: the fan-out collects longer the busier it is. */
  readonly load: () => number;
  /** What leaves the server by itself. Default: nothing. */
  readonly outlets?: OutletOptions | undefined;
  /** Undefined: this node owns every shard, and no other node writes to the store. */
  readonly cluster?: ClusterParts | undefined;
}

export interface Core {
  readonly sessions: SessionPort;
  /** Frames that come to another node or bridge than the one that has their session. */
  readonly passing: NodePassing;
  readonly rooms: RoomCalls;
  /** For callers with the grant `service`. */
  readonly delivery: ServiceCalls<typeof DeliveryService>;
  readonly presence: ServiceCalls<typeof PresenceService>;
  /** Answers what other nodes ask of this one. */
  readonly answerPeer: PeerHandler;
  /** How each shard stands on this node. */
  shards(): readonly ShardStatus[];
  /** Verifies a token of a unary call. */
  authenticate(token: string): Promise<Caller>;
  /** Opens all shards. Nothing is served before it resolves. */
  start(): Promise<void>;
  /**
   * Takes no new connections, finishes what was accepted, then says Goodbye to live ones with delays spread over `spreadMs`: not to all
   * at once, but over a third of that time, and a second at most.
   */
  drain(spreadMs: number): Promise<void>;
  /** Ends every timer and session. What was not drained is lost to its callers, never to the log. */
  stop(): Promise<void>;
}
