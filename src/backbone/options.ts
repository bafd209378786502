// What a backbone is started with, and what one can do with it.

import type { BridgeOptions } from "../../bridge/options.js";
import type { Core } from "../core/core.js";
import type { Limits } from "../core/limit/limits.js";
import type { TenantDifferences } from "../core/limit/tenants.js";
import type { Telemetry } from "../core/telemetry.js";
import type { Logger } from "../ops/log.js";
import type { AccessHook } from "../ports/access-hook.js";
import type { Clock } from "../ports/clock.js";
import type { PublishHook } from "../ports/publish-hook.js";
import type { TokenVerifier } from "../ports/token-verifier.js";
import type { ClientTls } from "../rpc/tls.js";
import type { GrpcTls } from "../transport/grpc/server.js";
import type { ClusterOptions } from "./cluster-options.js";
import type { OutletTargets } from "./outlets.js";

/** Where to listen. */
export interface ListenAddress {
  /** Default 127.0.0.1: this machine only. */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
}

/** The application's say in what is published: the address of a PublishHookService, or an implementation in this process. */
export type PublishHookOptions = (
  | {
      readonly address: string;
      readonly tls?: ClientTls;
      /** How long an answer is waited for, in milliseconds. Default 500. */
      readonly timeoutMs?: number;
    }
  | { readonly hook: PublishHook }
) & {
  /** What happens to a message without an answer: "closed" (default) refuses it as UNAVAILABLE, "open" publishes it. */
  readonly failure?: "open" | "closed";
  /** Whether it is asked for what services send, too. Default false: they are the application itself. */
  readonly services?: boolean;
  /** The kinds of rooms it is asked for. Default: all but inboxes. */
  readonly rooms?: readonly ("direct" | "group" | "channel" | "inbox")[];
  /** The kinds of bodies it is asked for. Default: all. */
  readonly bodies?: readonly ("text" | "attachment" | "custom" | "system")[];
  /** The tenants it is asked for. Default, and when empty: all. */
  readonly tenants?: readonly string[];
};

/** The application's say in who is in a room and may do what: the address of an AccessHookService, or an implementation in this process. */
export type AccessHookOptions = (
  | {
      readonly address: string;
      readonly tls?: ClientTls;
      /** How long an answer is waited for, in milliseconds. Default 500. */
      readonly timeoutMs?: number;
    }
  | { readonly hook: AccessHook }
) & {
  /** Without an answer: "closed" (default) refuses as UNAVAILABLE, "open" lets members do what their role allows. */
  readonly failure?: "open" | "closed";
  /** The kinds of rooms it is asked for. Default: both. */
  readonly rooms?: readonly ("group" | "channel")[];
  /** The tenants it is asked for. Default, and when empty: all. */
  readonly tenants?: readonly string[];
};

export interface BackboneOptions {
  /** Where everything is stored. Created if it is not there; one backbone at a time. Needed unless `cluster` is given. */
  readonly dataDirectory?: string;
  /** Makes this a node of a cluster, which keeps nothing in a directory. Default: this process is alone. */
  readonly cluster?: ClusterOptions;
  /** Groups of rooms that are stored independently. Default 64; counts when the store, or the cluster's topic, is created. */
  readonly shards?: number;
  /** How long events are kept, in milliseconds. Default: for ever. Not for a cluster. */
  readonly retentionMs?: number;
  /** Who says whom a token stands for: the address of an AuthService, or an implementation in this process. */
  readonly auth: { readonly address: string; readonly tls?: ClientTls } | { readonly verifier: TokenVerifier };
  /** Asked before a message is stored. Default: nobody is. */
  readonly publishHook?: PublishHookOptions;
  /** What leaves the server by itself: events for webhooks, notifications for users who are away. Default: nothing. */
  readonly outlets?: OutletTargets;
  /** Asked who is in a room and may do what. Default: nobody is. */
  readonly accessHook?: AccessHookOptions;
  /** Default port 9090. */
  readonly grpc?: ListenAddress & {
    readonly tls?: GrpcTls;
    /** What bridges in processes of their own must show to link to this one, or several of which each is enough. Absent: none may. */
    readonly linkSecret?: string | readonly string[];
  };
  /** Default port 8080. */
  readonly bridge?: ListenAddress &
    Pick<BridgeOptions, "tls" | "page" | "maxConnections"> & { readonly allowedOrigins?: readonly string[] };
  /** Where /metrics is served. Default: nowhere. */
  readonly metrics?: ListenAddress;
  /** Differences from the default limits. */
  readonly limits?: Partial<Limits>;
  /** Differences from those for single tenants, by tenant id. */
  readonly tenants?: ReadonlyMap<string, TenantDifferences>;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** While it starts: services are no longer waited for once this is aborted, and the start rejects. */
  readonly startAborted?: AbortSignal;
  readonly clock?: Clock;
}

export interface StopOptions {
  /** The time over which clients are told to come back, in milliseconds. Default 3,000. */
  readonly spreadMs?: number;
  /** What has not ended by then is cut off, in milliseconds from the call. Default 15,000. */
  readonly deadlineMs?: number;
}

/** A running backbone. */
export interface Backbone {
  readonly core: Core;
  readonly telemetry: Telemetry;
  /** Addresses as bound, "host:port". */
  readonly grpcAddress: string;
  readonly bridgeAddress: string;
  readonly metricsAddress: string | undefined;
  /** As a node of a cluster: this incarnation of it, and where other nodes reach it. */
  readonly node: { readonly id: string; readonly address: string } | undefined;
  /** Copies the live store to an empty directory. Rejects in a cluster, which has none. */
  backup(directory: string): Promise<void>;
  /**
   * From now on single tenants differ from the common limits in this, and in nothing that was said before. Their buckets begin full again;
   * what is over a lower quota stays, and is not added to. Throws RangeError, and changes nothing, for a limit that cannot be.
   */
  limitTenants(differences: ReadonlyMap<string, TenantDifferences>): void;
  /** From now on bridges must show one of these to link to this one; links that are open stay. Throws where it was started without any. */
  replaceLinkSecrets(secrets: readonly string[]): void;
  /**
   * Leaves in order: health says no, clients are told when to come back, what was accepted is finished, then everything is
   * closed. Resolves with whether all of it ended by itself. Idempotent; never rejects.
   */
  stop(options?: StopOptions): Promise<"drained" | "cut off">;
}
