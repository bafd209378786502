// Every bound of the core in one place: meaning, unit, default, reason.

import { PRESENCE_GRACE_MS } from "../../ports/session-directory.js";
import { DEFAULT_RATES, isRate, OPERATION_CLASSES, type Rate, type Rates, SCOPES } from "./rates.js";

export type { Rate } from "./rates.js";

export interface Limits {
  /** Longest client frame, in bytes. 64 KiB: a 16 KiB text in JSON with escapes fits. Transports refuse longer ones. */
  readonly maxFrameBytes: number;
  /** Longest text body, in bytes of UTF-8. */
  readonly maxTextBytes: number;
  /** Longest encoded metadata, in bytes. */
  readonly maxMetadataBytes: number;
  /** Requests of one session that have no answer yet. */
  readonly maxInFlight: number;
  /** Rooms one session may be subscribed to. */
  readonly maxRoomsPerSession: number;
  /** Live sessions of one user. */
  readonly maxSessionsPerUser: number;
  /** What becomes of a session beyond that: it is refused, or the user's oldest is closed. */
  readonly sessionPolicy: SessionPolicy;
  /** Live sessions of one user by the kind of their devices. A kind that is not named: as many as the user may have. */
  readonly deviceLimits: DeviceLimits;
  /** Live sessions of all users of a tenant, on all nodes; more are refused. 0: no limit. */
  readonly maxSessionsPerTenant: number;
  /**
   * Rooms of a tenant, those under others and direct ones counted, inboxes and deleted ones not; none is made beyond. Exact where one
   * process makes them all; of several each counts anew every minute, and what others make meanwhile may come on top. 0: no limit.
   */
  readonly maxRoomsPerTenant: number;
  /** Members of a room that AddMembers takes in one call. */
  readonly maxMembersPerCall: number;
  /** Members of a room, whoever adds them. What is said in it is fed to all who are there. */
  readonly maxMembersPerRoom: number;
  /** Rooms under one. Each of its members is listed all of them. */
  readonly maxSubRooms: number;
  /** Whether joining a room that does not exist makes it: an open group, owned by who came first. */
  readonly openRooms: boolean;
  /** Groups and channels are archived after so long without a message, where they do not say otherwise, in milliseconds. 0: never. */
  readonly archiveAfterMs: number;
  /** From accepting a connection to a verified Hello, in milliseconds. */
  readonly handshakeDeadlineMs: number;
  /** Between two pings of the server, in milliseconds. */
  readonly pingIntervalMs: number;
  /** From a ping to giving the client up, in milliseconds. */
  readonly pongDeadlineMs: number;
  /** From TokenExpiring to the token's end, in milliseconds. */
  readonly tokenWarningMs: number;
  /** A session that was lost without a goodbye counts for its user's presence for so long, in milliseconds. */
  readonly presenceGraceMs: number;
  /** Events replayed in-band when subscribing; a longer gap is named. */
  readonly recoveryLimit: number;
  /** Bytes waiting in a session's outbox beyond which live pushes stop and the session lags. */
  readonly outboxBytes: number;
  /** Bytes waiting beyond which ephemeral frames are dropped. */
  readonly ephemeralBytes: number;
  /** A session that has taken nothing for so long while data waited is closed SLOW_CONSUMER, in milliseconds. */
  readonly stallDeadlineMs: number;
  /** Bytes of recent events kept per room with subscribers, to feed lagging and resuming sessions without the archive. */
  readonly ringBytes: number;
  /** Reads of the archive for replay at once, in the whole node. */
  readonly replayReads: number;
  /** Bytes of events accepted by a shard and not durable yet, beyond which it answers UNAVAILABLE. */
  readonly shardPendingBytes: number;
  /**
   * Events of a shard that are durable and not archived, in bytes as the log counts them, beyond which it answers UNAVAILABLE: what its next
   * owner must read and fold before it serves. Only where the archive is written behind the log.
   */
  readonly archivePendingBytes: number;
  /** How often what may be asked, of each session, user, room and tenant. */
  readonly rates: Rates;
  /** Frames a second per session, of any kind. */
  readonly frameRate: Rate;
  /** RATE_LIMITED answers a second that one session may draw before it is closed OVERLOADED: it does not heed them. */
  readonly refusalRate: Rate;
  /** New connections a second in this node. Those beyond wait for their turn, 3 s at most, where their clients could not read a refusal. */
  readonly connectRate: Rate;
  /** Connections of this node that have no session yet, at most. Those beyond wait as above. */
  readonly maxHandshakes: number;
}

export const SESSION_POLICIES = ["close-oldest", "refuse-new"] as const;
export type SessionPolicy = (typeof SESSION_POLICIES)[number];

export interface DeviceLimit {
  readonly max: number;
  readonly policy: SessionPolicy;
}

/** The kinds of devices as operators call them. */
export const DEVICE_KINDS = ["unspecified", "web", "mobile", "desktop", "service"] as const;
export type DeviceKindName = (typeof DEVICE_KINDS)[number];
export type DeviceLimits = { readonly [K in DeviceKindName]?: DeviceLimit };

export const DEFAULT_LIMITS: Limits = {
  maxFrameBytes: 64 * 1024,
  maxTextBytes: 16 * 1024,
  maxMetadataBytes: 4 * 1024,
  maxInFlight: 64,
  maxRoomsPerSession: 200,
  maxSessionsPerUser: 10,
  sessionPolicy: "close-oldest",
  deviceLimits: {},
  maxSessionsPerTenant: 0,
  maxRoomsPerTenant: 0,
  maxMembersPerCall: 100,
  maxMembersPerRoom: 1_000_000,
  maxSubRooms: 100,
  openRooms: false,
  archiveAfterMs: 0,
  handshakeDeadlineMs: 10_000,
  pingIntervalMs: 25_000,
  pongDeadlineMs: 10_000,
  tokenWarningMs: 60_000,
  presenceGraceMs: PRESENCE_GRACE_MS,
  recoveryLimit: 1_000,
  outboxBytes: 1024 * 1024,
  ephemeralBytes: 256 * 1024,
  stallDeadlineMs: 30_000,
  ringBytes: 256 * 1024,
  replayReads: 32,
  shardPendingBytes: 16 * 1024 * 1024,
  archivePendingBytes: 64 * 1024 * 1024,
  rates: DEFAULT_RATES,
  frameRate: { perSecond: 200, burst: 400 },
  refusalRate: { perSecond: 20, burst: 400 },
  connectRate: { perSecond: 1_000, burst: 2_000 },
  maxHandshakes: 5_000,
};

/** What clients are told of in a Welcome: whole numbers of 32 bits. */
const TOLD = [
  "maxFrameBytes",
  "maxTextBytes",
  "maxInFlight",
  "maxRoomsPerSession",
  "recoveryLimit",
  "pingIntervalMs",
] as const satisfies readonly (keyof Limits)[];

/** Limits with differences. Throws RangeError for one that no client could be told of, or no bucket could keep. */
export function limitsWith(differences: Partial<Limits>, from: Limits = DEFAULT_LIMITS): Limits {
  const limits = { ...from, ...differences };
  for (const name of TOLD) {
    const value = limits[name];
    if (value >>> 0 !== value)
      throw new RangeError(`limits.${name}: a whole number from 0 to 4294967295, not ${value}`);
  }
  for (const of of OPERATION_CLASSES) {
    for (const scope of SCOPES) requireRate(`rates.${of}.${scope}`, limits.rates[of][scope]);
  }
  for (const name of ["frameRate", "refusalRate", "connectRate"] as const) requireRate(name, limits[name]);
  return limits;
}

function requireRate(name: string, rate: Rate): void {
  if (isRate(rate)) return;
  const { perSecond, burst } = rate;
  throw new RangeError(`limits.${name}: whole numbers, with a burst of at least 1, not ${perSecond}/${burst}`);
}

/**
 * The longest tail of a log that its next owner is given, in bytes as the log counts them: all that nodes of these limits may have accepted, what
 * was under way to the log among it. Twice as much, for that is counted by its events alone.
 */
export function longestTailBytes({ archivePendingBytes, shardPendingBytes }: Limits): number {
  return 2 * (archivePendingBytes + shardPendingBytes);
}

/** A page ends after the entry that brings it here, whatever was asked for, in bytes: it waits in memory until it is read. */
export const PAGE_BYTES = 256 * 1024;
