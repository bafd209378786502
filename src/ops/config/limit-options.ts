// The core's limits as options. Their defaults are the core's own.

import { DEFAULT_LIMITS, type Limits, SESSION_POLICIES } from "../../core/limit/limits.js";
import { deviceLimits } from "./device-limits.js";
import { duration, integer, type Option, oneOf, rate, size, toggle } from "./option.js";
import { ratesOf } from "./rate-options.js";

const MANY = 10_000_000;
const LONGEST_IDLE_MS = 36_500 * 86_400_000;
const of = DEFAULT_LIMITS;

export const LIMIT_OPTIONS = {
  maxFrameBytes: size(
    of.maxFrameBytes,
    1024,
    "Longest frame a client may send. A 16 KiB text in JSON with escapes fits.",
  ),
  maxTextBytes: size(of.maxTextBytes, 1, "Longest text of a message, in UTF-8."),
  maxMetadataBytes: size(of.maxMetadataBytes, 0, "Longest metadata of a message or room, encoded."),
  maxInFlight: integer("N", of.maxInFlight, 1, MANY, "Requests of one session that have no answer yet."),
  maxRoomsPerSession: integer("N", of.maxRoomsPerSession, 1, MANY, "Rooms one session may be subscribed to."),
  maxSessionsPerUser: integer("N", of.maxSessionsPerUser, 1, MANY, "Live sessions of one user."),
  sessionPolicy: oneOf(
    SESSION_POLICIES,
    of.sessionPolicy,
    "What becomes of a session more than a user may have: their oldest is closed for it, or it is refused.",
  ),
  deviceLimits: deviceLimits(
    of.deviceLimits,
    "Live sessions of one user by kind of device (web, mobile, desktop, service, unspecified), each with a policy where it differs from close-oldest: web=5,mobile=2:refuse-new.",
  ),
  maxSessionsPerTenant: integer(
    "N",
    of.maxSessionsPerTenant,
    0,
    MANY,
    "Live sessions of a tenant, on all nodes of a cluster; more are refused. 0: no limit.",
  ),
  maxRoomsPerTenant: integer(
    "N",
    of.maxRoomsPerTenant,
    0,
    MANY,
    "Rooms of a tenant, inboxes and deleted ones not counted; no more are made. 0: no limit.",
  ),
  maxMembersPerCall: integer("N", of.maxMembersPerCall, 1, MANY, "Members that AddMembers takes in one call."),
  maxMembersPerRoom: integer("N", of.maxMembersPerRoom, 2, MANY, "Members of a room."),
  maxSubRooms: integer("N", of.maxSubRooms, 0, 1_000, "Rooms under one."),
  openRooms: toggle(of.openRooms, "Joining a room that does not exist makes it: open, and owned by who came first."),
  archiveAfter: duration(
    of.archiveAfterMs,
    0,
    "How long a group or channel is idle, a minute at least, before it is archived, where it does not say otherwise. 0: for ever.",
    LONGEST_IDLE_MS,
  ),
  handshakeDeadline: duration(of.handshakeDeadlineMs, 1, "From accepting a connection to a verified Hello."),
  pingInterval: duration(of.pingIntervalMs, 1, "Between two pings of the server."),
  pongDeadline: duration(of.pongDeadlineMs, 1, "From a ping to giving the client up."),
  tokenWarning: duration(of.tokenWarningMs, 0, "How long before a token's end its session is warned."),
  presenceGrace: duration(
    of.presenceGraceMs,
    0,
    "How long a user whose connection was lost stays online: a page that is loaded anew does not flicker.",
  ),
  recoveryLimit: integer(
    "N",
    of.recoveryLimit,
    0,
    MANY,
    "Events replayed in-band when subscribing; a longer gap is named.",
  ),
  outboxBytes: size(
    of.outboxBytes,
    1024,
    "What may wait in a session's outbox before live pushes stop and the session lags.",
  ),
  ephemeralBytes: size(
    of.ephemeralBytes,
    0,
    "What may wait in a session's outbox before ephemeral frames are dropped.",
  ),
  stallDeadline: duration(
    of.stallDeadlineMs,
    1,
    "A session that takes nothing for so long while data waits is closed.",
  ),
  ringBytes: size(of.ringBytes, 0, "Recent events kept in memory per room, to feed lagging and resuming sessions."),
  replayReads: integer("N", of.replayReads, 1, MANY, "Reads of the store for replay at once, in the whole process."),
  shardPendingBytes: size(
    of.shardPendingBytes,
    1024,
    "Events of a shard that wait to be stored, beyond which it refuses more.",
  ),
  archivePendingBytes: size(
    of.archivePendingBytes,
    1024,
    "Events of a shard that are stored and wait for the archive, beyond which it refuses more. Of a cluster.",
  ),
  frameRate: rate(of.frameRate, "Frames of any kind a second per session, and how many at once."),
  refusalRate: rate(
    of.refusalRate,
    "RATE_LIMITED answers a second, and how many at once, before a session that does not heed them is closed.",
  ),
  connectRate: rate(
    of.connectRate,
    "New connections a second, and how many at once. Over WebSocket those beyond wait for up to 3 s.",
  ),
  maxHandshakes: integer(
    "N",
    of.maxHandshakes,
    1,
    MANY,
    "Connections without a session yet, at most. Over WebSocket those beyond wait for up to 3 s.",
  ),
} satisfies { readonly [K in Exclude<keyof Limits, "rates"> as OptionName<K>]: Option<Limits[K]> };

/** Durations are written with their unit, so an option's name does not carry it. */
type OptionName<K> = K extends `${infer Name}Ms` ? Name : K;

/** The limits as the core takes them. */
export function limitsOf(values: LimitValues): Limits {
  return {
    maxFrameBytes: values.maxFrameBytes,
    maxTextBytes: values.maxTextBytes,
    maxMetadataBytes: values.maxMetadataBytes,
    maxInFlight: values.maxInFlight,
    maxRoomsPerSession: values.maxRoomsPerSession,
    maxSessionsPerUser: values.maxSessionsPerUser,
    sessionPolicy: values.sessionPolicy,
    deviceLimits: values.deviceLimits,
    maxSessionsPerTenant: values.maxSessionsPerTenant,
    maxRoomsPerTenant: values.maxRoomsPerTenant,
    maxMembersPerCall: values.maxMembersPerCall,
    maxMembersPerRoom: values.maxMembersPerRoom,
    maxSubRooms: values.maxSubRooms,
    openRooms: values.openRooms,
    archiveAfterMs: values.archiveAfter,
    handshakeDeadlineMs: values.handshakeDeadline,
    pingIntervalMs: values.pingInterval,
    pongDeadlineMs: values.pongDeadline,
    tokenWarningMs: values.tokenWarning,
    presenceGraceMs: values.presenceGrace,
    recoveryLimit: values.recoveryLimit,
    outboxBytes: values.outboxBytes,
    ephemeralBytes: values.ephemeralBytes,
    stallDeadlineMs: values.stallDeadline,
    ringBytes: values.ringBytes,
    replayReads: values.replayReads,
    shardPendingBytes: values.shardPendingBytes,
    archivePendingBytes: values.archivePendingBytes,
    rates: ratesOf(values),
    frameRate: values.frameRate,
    refusalRate: values.refusalRate,
    connectRate: values.connectRate,
    maxHandshakes: values.maxHandshakes,
  };
}

type LimitValues = { readonly [K in Exclude<keyof Limits, "rates"> as OptionName<K>]: Limits[K] } & Parameters<
  typeof ratesOf
>[0];
