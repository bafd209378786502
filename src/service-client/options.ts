// How a service reaches a Trunkline server.

import type { ClientTls } from "../rpc/tls.js";

export interface ServiceClientOptions {
  /** The server's gRPC address, host:port. */
  readonly address: string;
  /** A token with the grant `service`, or what gives one: asked before every try, so that it may renew it. */
  readonly token: string | (() => string | Promise<string>);
  /** Default: plain on this machine, TLS with the system's authorities elsewhere. */
  readonly tls?: ClientTls;
  /** How long one try of a call may take, in milliseconds. Default 10,000. */
  readonly deadlineMs?: number;
  /** How often a call is tried where the refusal says that it may succeed later. Default 5; 1: never again. */
  readonly attempts?: number;
}

export interface TailOptions {
  /** The cursor of the last response that was dealt with. Absent: from now. */
  readonly cursor?: string;
  /** Only these rooms, at most 1,000. Absent: all of the tenant, inboxes too. */
  readonly roomIds?: readonly string[];
  /** Ends the tail. */
  readonly signal?: AbortSignal;
}
