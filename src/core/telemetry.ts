// The named events that the core emits. Logging and metrics listen; the core knows neither. This list is their documentation.

import type { ErrorCode } from "../ports/error.js";
import type { Scope } from "./limit/rates.js";
import type { Limited, Quota } from "./limit/refusal.js";

export interface TelemetryEvents {
  /** A session is live. */
  "session.opened": {
    readonly sessionId: string;
    readonly tenantId: string;
    readonly userId: string;
    readonly transport: string;
  };
  /** A live session has ended. */
  "session.closed": {
    readonly sessionId: string;
    readonly tenantId: string;
    readonly userId: string;
    readonly code: number;
    readonly reason: string;
  };
  /** A connection was turned away before it became a session. */
  "session.refused": { readonly transport: string; readonly code: number; readonly reason: string };
  /** A session does not read as fast as a room speaks; it is fed from the ring and the archive until it has caught up. */
  "session.lagging": { readonly sessionId: string; readonly roomId: string; readonly behind: number };
  /** A request was refused. INTERNAL and UNAVAILABLE carry their cause. */
  "request.refused": {
    readonly operation: string;
    readonly code: ErrorCode;
    readonly message: string;
    readonly cause?: unknown;
  };
  /** A token bucket was empty. */
  "limit.refused": { readonly scope: Scope; readonly operation: Limited };
  /** A session has drawn more refusals than it may, and is closed. */
  "session.abusive": { readonly sessionId: string; readonly tenantId: string; readonly userId: string };
  /** Something would have been one too many. */
  "quota.refused": { readonly quota: Quota; readonly tenantId: string };
  /** A batch of events is durable. `waitMs` from the first event's turn. */
  "log.appended": { readonly shard: number; readonly events: number; readonly bytes: number; readonly waitMs: number };
  /** An append failed or was displaced; the shard is opened anew. */
  "log.failed": { readonly shard: number; readonly cause: unknown };
  /** Durable events could not be archived; it is tried again. `pendingBytes` of events wait. */
  "archive.failed": { readonly shard: number; readonly pendingBytes: number; readonly cause: unknown };
  /**
   * The archive's store refuses a document for good; it was set aside, and what comes after it is archived. `seq`: the event it is, or the
   * last one folded in; 0: none.
   */
  "archive.refused": {
    readonly collection: string;
    readonly tenantId: string;
    readonly roomId: string;
    readonly seq: number;
    readonly cause: unknown;
  };
  /** What follows from an event could not be done; it is tried again. */
  "follower.failed": { readonly follower: string; readonly shard: number; readonly cause: unknown };
  /**
   * A follower was behind for longer than the log keeps events: what stood in the shard from offset `from` to `to`, exclusive, is gone, and
   * with it what was to follow from it. It goes on at `to`.
   */
  "follower.lost": { readonly follower: string; readonly shard: number; readonly from: number; readonly to: number };
  /** An outlet's target has taken something. `lagMs` from the oldest event of it. */
  "outlet.sent": { readonly outlet: string; readonly count: number; readonly lagMs: number };
  /** An outlet's target has not taken something; it is tried again. */
  "outlet.failed": { readonly outlet: string; readonly tries: number; readonly cause: unknown };
  /** How much an outlet has set aside until its target takes it. */
  "outlet.parked": { readonly outlet: string; readonly parked: number };
  /** An outlet has given something up. */
  "outlet.buried": {
    readonly outlet: string;
    readonly roomId: string;
    readonly tries: number;
    readonly cause: unknown;
  };
  /** How far behind the log an outlet is. */
  "outlet.advanced": { readonly outlet: string; readonly shard: number; readonly lagMs: number };
  /** A command that came without a call was carried out, now or before. */
  "inbound.taken": { readonly partition: number };
  /** A record that came in place of a call was given up, with the reason. */
  "inbound.buried": {
    readonly partition: number;
    readonly offset: number;
    readonly code: ErrorCode;
    readonly message: string;
  };
  /** A record that came in place of a call waits; it is tried again. */
  "inbound.held": {
    readonly partition: number;
    readonly offset: number;
    readonly tries: number;
    readonly cause: unknown;
  };
  /** So many records of a partition are not dealt with yet. */
  "inbound.lag": { readonly partition: number; readonly records: number };
  /** What comes in place of calls cannot be read; it is tried again. */
  "inbound.failed": { readonly cause: unknown };
  /** Events were handed to a room's subscribers. */
  "fanout.flushed": { readonly events: number; readonly recipients: number };
  /** The fan-out's collecting window has changed with the load. */
  "fanout.window": { readonly windowMs: number; readonly load: number };
  /** The application has answered a question. `answer`: allow, change or refuse; allow or deny. */
  "hook.answered": { readonly hook: HookName; readonly answer: string; readonly tookMs: number };
  /** A question has no answer that counts. `letThrough`: what was asked for was done all the same. */
  "hook.failed": {
    readonly hook: HookName;
    readonly fault: "no-answer" | "bad-answer";
    readonly letThrough: boolean;
    readonly cause: unknown;
  };
  /** The application has failed several times in a row and is not asked for a while, or answers again. */
  "hook.turned": { readonly hook: HookName; readonly away: boolean; readonly cause?: unknown };
  /** A service that the node stands on is away, or is there again. */
  "dependency.turned": { readonly dependency: DependencyName; readonly away: boolean; readonly cause?: unknown };
  /** Something asked of such a service has failed; what was asked for is done again, or was refused. */
  "dependency.failed": { readonly dependency: DependencyName; readonly what: string; readonly cause: unknown };
  /** A shard holds events of a newer version than this node, which does not own it therefore. */
  "shard.newer": { readonly shard: number; readonly cause: Error };
  /** Another node that lives cannot be asked by this one; or it can again, or is gone. */
  "peer.turned": { readonly nodeId: string; readonly away: boolean };
  /** In a bridge: the link to a node (`peer`) works, or has ended with so many sessions on it. In a node: that of a bridge. */
  "link.turned": { readonly peer: string; readonly up: boolean; readonly sessions: number; readonly cause?: unknown };
  /** In a bridge: no link to a node came about; it is tried again, or another node is. */
  "link.failed": { readonly peer: string; readonly cause: unknown };
  /** In a bridge: a message has come down a link, so long, with so many frames for clients. */
  "link.carried": { readonly bytes: number; readonly deliveries: number };
  /** The other nodes of the cluster had taken this one for gone, and see it again. */
  "node.returned": Record<never, never>;
  /** Something happened that should not: a bug, or a broken dependency. */
  fault: { readonly where: string; readonly cause: unknown };
}

/** A service of the application that has a say. */
export type HookName = "publish" | "access";

/** A service that the nodes of a cluster share. */
export type DependencyName = "redis" | "kafka" | "mongodb";

export type TelemetryName = keyof TelemetryEvents;
type Listener<N extends TelemetryName> = (data: TelemetryEvents[N]) => void;

/** Hands each event to its listeners, synchronously. Without a listener an event costs one look-up. */
export class Telemetry {
  readonly #listeners = new Map<TelemetryName, Listener<never>[]>();

  on<N extends TelemetryName>(name: N, listener: Listener<N>): () => void {
    const listeners = this.#listeners.get(name) ?? [];
    listeners.push(listener as Listener<never>);
    this.#listeners.set(name, listeners);
    return () => {
      const at = listeners.indexOf(listener as Listener<never>);
      if (at >= 0) listeners.splice(at, 1);
    };
  }

  emit<N extends TelemetryName>(name: N, data: TelemetryEvents[N]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) (listener as Listener<N>)(data);
  }
}
