// The session directory: who is connected where, and the presence that follows from it. Ephemeral: what it holds of a node's sessions ends
// with the node. When a user was last online is kept in the archive.
//
// A user's presence is that of the strongest entry: of a live session, or of one that was lost within its grace. INVISIBLE is stronger than
// DO_NOT_DISTURB, that than ONLINE, that than AWAY; among equals the one set last counts. An invisible user is OFFLINE in every answer.
//
// What a node does, its own answers know from then on; other nodes learn of it soon, in the order of that node's calls. The sessions of a
// node that is gone count until its lease ends, and have no grace of their own. A node whose lease has ended while it lives is back, with
// its sessions and what was set on them, as soon as it knows.

import type { CloseCode } from "../gen/trunkline/v1/error_pb.js";
import type { AddressClass, DeviceKind } from "../gen/trunkline/v1/message_pb.js";
import { type LastSeenVisibility, PresenceStatus } from "../gen/trunkline/v1/session_pb.js";
import type { Awaitable } from "./room-ref.js";

/** How long a session that was lost without a goodbye still counts unless said otherwise, in milliseconds: a page that is loaded anew does not flicker. */
export const PRESENCE_GRACE_MS = 5_000;

/** A live session as the directory knows it. Does not change while it lives. */
export interface SessionEntry {
  readonly sessionId: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly device: EntryDevice;
  readonly addressClass: AddressClass;
  /** Wall clock, in milliseconds. */
  readonly connectedAtMs: number;
  /** As its hello said: of two sessions of a device the higher one stays. */
  readonly attempt: number;
}

export interface EntryDevice {
  readonly deviceId: string;
  readonly kind: DeviceKind;
  readonly name: string;
  readonly appVersion: string;
}

/** A session of this node: it can be told to close. */
export interface LocalSession extends SessionEntry {
  close(code: CloseCode, reason: string): void;
}

/** What a user has set on a session. */
export interface PresenceChoice {
  /** ONLINE, AWAY, DO_NOT_DISTURB or INVISIBLE. */
  readonly status: PresenceStatus;
  readonly text: string;
  /** Wall clock, in milliseconds: then ONLINE without a text. Undefined: until changed. */
  readonly untilMs: number | undefined;
}

/** What others may know of a user: never INVISIBLE. */
export interface UserPresence extends PresenceChoice {
  readonly userId: string;
  /** Of who is offline: wall clock, in milliseconds. Undefined: unknown, or not to be told. */
  readonly lastSeenMs: number | undefined;
}

/** Which sessions of a tenant. */
export type SessionSelector =
  | { readonly sessionId: string }
  | { readonly userId: string; readonly deviceId?: string; readonly exceptDeviceId?: string };

export interface DirectoryWatch {
  /** After it returns the listener is not called again. Idempotent. */
  close(): void;
}

export interface SessionDirectory {
  /**
   * Whether this node has looked lately for what others said to its sessions. False after a pause of the process, until it has looked again,
   * which takes no longer than a second once it runs: nothing is to be done for a session meanwhile. While the directory is away what could not
   * be heard is heard when it is back.
   */
  readonly current: boolean;

  /**
   * A session is live. Returns at once, nothing waits for it. A session of a device that has an entry already, live or within its grace,
   * on whatever node, goes on with what was set there. Of two live sessions of a device the one of the higher attempt stays, among equals
   * the one that connected later: the other is told to close with REPLACED, soon, and counts until it is disconnected.
   */
  connect(session: LocalSession): void;

  /**
   * A session has ended. `abrupt`: without a goodbye, so that it counts for the grace more, with what was set on it, unless another
   * session of its device is live or comes. Idempotent; a session that is not there is passed over.
   */
  disconnect(session: LocalSession, abrupt: boolean): void;

  /**
   * Sets what the session shows, from now on. The last call for a session wins. Ends by itself at `untilMs`. A session that is not there
   * is passed over.
   */
  choose(session: LocalSession, choice: PresenceChoice): void;

  /** The same for every live session of the user, on whatever node. Resolves with how many those are; 0: nothing was set. */
  chooseAll(tenantId: string, userId: string, choice: PresenceChoice): Awaitable<number>;

  /** Who is told when the user was last online, from when it resolves. Kept like that itself. Rejects with UNAVAILABLE. */
  setLastSeenVisibility(tenantId: string, userId: string, visibility: LastSeenVisibility): Promise<void>;

  /**
   * The presence of users, in the order asked for, each as of a moment after the call. `lastSeenMs` is when others last saw them online:
   * of a session that was lost, when it was lost, and of one that became invisible, when it did; of sessions that went with their node,
   * about when it did. It is kept within about a second, and may be missing while the archive is away.
   */
  presences(tenantId: string, userIds: readonly string[]): Awaitable<readonly UserPresence[]>;

  /** How many of these users, each named once, are not offline. As `presences`. */
  countOnline(tenantId: string, userIds: Iterable<string>): Awaitable<number>;

  /**
   * Users that are not offline, by user id in byte order, those after `after`. Fewer than `limit`: these are the last. Who comes or goes
   * between two pages may be missed; who stays is in exactly one.
   */
  online(tenantId: string, after: string, limit: number): Awaitable<readonly UserPresence[]>;

  /**
   * Calls the listener when a user's presence may have changed, and what they show of when they were last online: whoever wants to know
   * asks `presences`, which tells it by then. Resolves once changes made from then on are told, on whatever node they are made. Calls may
   * be repeated, and may be lost while the directory is away: then once more for everybody watched. The listener must not throw, and is
   * not called before this returns.
   */
  watch(tenantId: string, userId: string, listener: () => void): Awaitable<DirectoryWatch>;

  /** The live sessions of a user, the one that connected first first; none of those within their grace. As current as `presences`. */
  sessions(tenantId: string, userId: string): Awaitable<readonly SessionEntry[]>;

  /**
   * Tells live sessions, on whatever node, to close with this code, each once. Resolves with how many were told. Those of a node that is paused
   * or cut off from the directory are not counted, and told within two seconds once it is back; where it does not know any more what was said
   * meanwhile, all its sessions are told GOING_AWAY, so that they come anew. Whoever connects after the call is not meant.
   */
  close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Awaitable<number>;

  /** The node leaves: its sessions have ended; what is to be kept is written, timers end, graces too. Idempotent; never rejects. */
  stop(): Promise<void>;
}

/** The stronger wins. Not a status of a live session: 0. */
export function strength(status: PresenceStatus): number {
  switch (status) {
    case PresenceStatus.INVISIBLE:
      return 4;
    case PresenceStatus.DO_NOT_DISTURB:
      return 3;
    case PresenceStatus.ONLINE:
      return 2;
    case PresenceStatus.AWAY:
      return 1;
    default:
      return 0;
  }
}
