// What leaves the server by itself: for each target a reader of the log of its own, so that none is in another's way.

import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { EventSink } from "../../ports/event-sink.js";
import type { Notifier } from "../../ports/notifier.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import type { LogReader } from "../follow/follower.js";

/** The cases of RoomEvent's kinds. */
export type EventCase = NonNullable<RoomEvent["kind"]["case"]>;

/** What an event outlet wants. */
export interface EventOutletOptions {
  /** Names its place in the log; another name begins anew. An id. */
  readonly name: string;
  readonly sink: EventSink;
  /** Undefined: every kind. */
  readonly kinds?: ReadonlySet<EventCase>;
  /** Undefined: every tenant. */
  readonly tenants?: ReadonlySet<string>;
  /** Only rooms whose id begins so. Default: any. */
  readonly roomPrefix?: string;
  /** How long the same events are tried before they become a dead letter, in milliseconds. Default a day. */
  readonly giveUpAfterMs?: number;
}

export interface NotifierOptions {
  readonly notifier: Notifier;
  /** How long a user must have been away, and a message unreceived, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /** In rooms with more members only those are told whom a message names. Default 100. */
  readonly wideRoom?: number;
  /** Whether notifications hold what the message says. Default false. */
  readonly withBody?: boolean;
  /** How long a notification is tried before it is given up, in milliseconds. Default a day. */
  readonly giveUpAfterMs?: number;
}

/** What leaves the server by itself. */
export interface OutletOptions {
  readonly store: OutletStore;
  readonly events?: readonly EventOutletOptions[];
  readonly notifier?: NotifierOptions;
}

/** A day: longer than a target is away, shorter than what is said stays worth telling. */
export const GIVE_UP_AFTER_MS = 86_400_000;

/** One outlet at work. */
export interface Outlet {
  /** What reads the log for it. */
  readonly reader: LogReader;
  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void;
  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  opening(shard: number, end: number): Promise<void>;
  /** The shard is this node's, its log ends at `end`: takes up where the shard was left. One that has never run begins there. */
  opened(shard: number, end: number): void;
  /** The shard is to be another node's: remembers where it is. Never rejects. */
  yielding(shard: number): Promise<void>;
  /** The shard is another node's: nothing more is kept of it. */
  released(shard: number): void;
  /** A shard's log has grown. */
  appended(shard: number): void;
  /** Remembers where it is. What is being handed over is not waited for. */
  stop(): Promise<void>;
}
