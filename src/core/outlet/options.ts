// What leaves the server by itself, and where to.

import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { EventSink } from "../../ports/event-sink.js";
import type { Notifier } from "../../ports/notifier.js";
import type { OutletStore } from "../../ports/outlet-store.js";

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

export interface OutletOptions {
  readonly store: OutletStore;
  readonly events?: readonly EventOutletOptions[];
  readonly notifier?: NotifierOptions;
}
