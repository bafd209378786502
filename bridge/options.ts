// What the bridge is started with.

import type { PassingPort } from "../src/core/cluster/passing-port.js";
import type { Core } from "../src/core/core.js";
import type { Limits } from "../src/core/limit/limits.js";
import type { Telemetry } from "../src/core/telemetry.js";
import type { Clock } from "../src/ports/clock.js";
import type { TokenIssuer } from "./http/dev-token.js";

export const DEFAULT_HOST = "127.0.0.1";
export const DEFAULT_PORT = 8080;

/** Below what a process may commonly have open (20,000 files), with room for the store and other sockets. */
export const DEFAULT_MAX_CONNECTIONS = 15_000;

export interface BridgeOptions {
  /** Without `passing`, what is posted for a session elsewhere is refused as unknown. */
  readonly core: Pick<Core, "sessions" | "rooms" | "delivery" | "presence" | "authenticate"> & {
    readonly passing?: PassingPort;
  };
  /** The address to listen on. Default 127.0.0.1: nobody else's business unless stated. */
  readonly host?: string;
  /** Default 8080; 0: any free one. */
  readonly port?: number;
  /** Certificate and key as PEM. Absent: plain HTTP, for a proxy that ends TLS or for development. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /**
   * Origins whose pages may connect, like `https://app.example.com`. Pages of the bridge's own host always may, `*` means any.
   * Clients that send no Origin are no browsers and are not concerned.
   */
  readonly allowedOrigins: readonly string[];
  /** Looked at with each connection: may change. */
  readonly limits: Pick<Limits, "maxFrameBytes">;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /**
   * Open connections at most. Default 15,000. Beyond it upgrades are answered 503. One of the fallback counts as two: what it sends comes
   * over another.
   */
  readonly maxConnections?: number;
  /** Absent: no page. */
  readonly page?: PageOptions;
}

export interface PageOptions {
  /** Where the built page lies. Default: beside this module. */
  readonly directory?: string;
  /** Issues tokens to anybody who asks from this machine. For development; absent: there is no such route. */
  readonly issueToken?: TokenIssuer;
}

export interface Bridge {
  readonly address: string;
  readonly port: number;
  /** Whether `/health/ready` says yes, and if not, why; and what is not as it should be. Before the first call it says "starting". */
  setReady(ready: boolean, reasons?: readonly string[], limits?: readonly string[]): void;
  /**
   * Stops listening, ends what is open with GOING_AWAY and resolves when all is gone, at the latest after `deadlineMs`, when
   * what is left is cut. Idempotent. Drain the core before, so that sessions have been told when to come back.
   */
  close(deadlineMs: number): Promise<void>;
}
