// What a backbone stands on: where events, rooms and sessions are kept, and which other nodes there are.

import type { ClusterParts } from "../core/core.js";
import type { Limits } from "../core/limit/limits.js";
import type { ShardStatus } from "../core/room/shard-status.js";
import type { Telemetry } from "../core/telemetry.js";
import type { Logger } from "../ops/log.js";
import type { Archive } from "../ports/archive.js";
import type { Clock } from "../ports/clock.js";
import type { EventLog } from "../ports/event-log.js";
import type { Fanout } from "../ports/fanout.js";
import type { InboundDoor } from "../ports/inbound.js";
import type { Notifier } from "../ports/notifier.js";
import type { OutletStore } from "../ports/outlet-store.js";
import type { PeerHandler } from "../ports/peers.js";
import type { SessionDirectory } from "../ports/session-directory.js";
import type { Standing } from "./standing.js";
import type { StartedParts } from "./started-parts.js";

export interface Engine {
  readonly log: EventLog;
  readonly archive: Archive;
  readonly fanout: Fanout;
  readonly directory: SessionDirectory;
  /** Where outlets keep what they set aside. */
  readonly outlets: OutletStore;
  /** Where what users who are away are told is written down; undefined: nobody is to be told. */
  readonly notifications: Notifier | undefined;
  /** Undefined: this process is alone. */
  readonly cluster: ClusterParts | undefined;
  /** This incarnation of the node, and where others reach it; undefined: this process is alone. */
  readonly node: { readonly id: string; readonly address: string } | undefined;
  /** Who answers other nodes from now on; until then they are refused as UNAVAILABLE. */
  answerWith(handler: PeerHandler): void;
  /** Lets commands in that come without a call, until the parts are stopped; undefined: there is no such way in. */
  readonly openInbound: ((door: InboundDoor) => Promise<void>) | undefined;
  /** How the engine stands, given how this node's shards do. */
  standing(shards: readonly ShardStatus[]): Standing;
  /** Copies the live store to an empty directory. Rejects where the engine keeps nothing in files of its own. */
  backup(directory: string): Promise<void>;
}

/** What every engine is opened with. */
export interface EngineContext {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** Whether users who are away are told. */
  readonly notifies: boolean;
  /** How busy this process is, 0 to 1. */
  readonly load: () => number;
  /** Live sessions of this process. */
  readonly sessions: () => number;
  /** Services are no longer waited for once it is aborted. */
  readonly startAborted: AbortSignal | undefined;
  /** Told of each part that was opened, in order: whoever fails on the way leaves the earlier ones to it. */
  readonly parts: StartedParts;
}
