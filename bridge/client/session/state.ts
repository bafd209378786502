// The states of a connection, and what leads from one to the next:
//
//   idle ──connect──▶ connecting ──welcome──▶ live
//                       ▲    │                 │
//                       │    └──lost──▶ waiting ◀──lost──┘
//                       └──── its time has come, or the network
//
//   any of them ──close, or an end that forbids to come back──▶ closed ──connect──▶ connecting
//
// Where the server has said that the connection stays, "connecting" opens none: hello is said on the one that is there.
//
// Where there is no network, or the server has asked to be left alone for longer, `connect` leads to waiting instead.

export type ConnectionState =
  /** Nobody has asked for a connection. */
  | { readonly status: "idle" }
  /** Getting a token, opening a connection, or saying hello. */
  | { readonly status: "connecting" }
  /** Requests can be made. */
  | { readonly status: "live"; readonly sessionId: string; readonly userId: string; readonly via: Via }
  | {
      readonly status: "waiting";
      readonly reason: LostReason;
      /** When it is tried again, in milliseconds since 1970. Undefined: once there is a network. */
      readonly untilMs: number | undefined;
    }
  | { readonly status: "closed"; readonly reason: ClosedReason };

/** How a connection goes, that of a tab which shares another's too: "events" is the fallback, by server-sent events and requests. */
export type Via = "websocket" | "events";

/** Why there is no connection just now. */
export type LostReason =
  /** There is no network. */
  | "offline"
  /** It could not be opened, or was cut. */
  | "unreachable"
  /** Nothing was heard for too long. */
  | "silent"
  /** The server is leaving. */
  | "going-away"
  /** This device did not keep up. */
  | "slow"
  /** The server is busy, or stands on something that is away. */
  | "busy"
  /** The token's time was over. */
  | "token-expired"
  /** The application had no token to give. */
  | "no-token";

/** Why there will be none until the application asks for it. */
export type ClosedReason =
  /** The application closed it. */
  | "closed"
  /** The token was refused. */
  | "unauthenticated"
  /** This device has connected elsewhere. */
  | "replaced"
  /** Somebody with the right to has ended it. */
  | "kicked"
  /** The token was revoked. */
  | "revoked"
  /** Client and server do not understand each other. */
  | "protocol"
  /** The user is connected too many times. */
  | "too-many-sessions";
