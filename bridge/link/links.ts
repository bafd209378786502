// Where a bridge's sessions live: a link to one of several nodes, another when that one leaves or is lost.
//
// Clients are not carried over to another node behind their backs: whoever was on a lost link is told to come back, spread over a window,
// and resumes by what it knows itself. Its connection to the bridge ends with that.

import type { Admission, Connection, ConnectionOrigin, SessionPort, SessionSink } from "../../src/core/session/port.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import type { ClientTls } from "../../src/rpc/tls.js";
import { Backbone } from "./backbone-node.js";
import { Link } from "./link.js";
import { dismiss, type LinkSession } from "./link-session.js";
import { type Pause, pauseBefore } from "./pause.js";

/** Before a node is linked to again that has refused or lost a link, in milliseconds. */
const LINK_PAUSE: Pause = { firstMs: 100, mostMs: 5_000 };
/** When a client may try again while there is no link, in milliseconds. */
const NO_LINK_RETRY_MS = 1_000;
/** A link that has worked for so long has not failed when it ends, in milliseconds. */
const SETTLED_MS = 10_000;

export interface LinksOptions {
  /** The nodes: `host:port` each. */
  readonly backbones: readonly string[];
  readonly tls: ClientTls | undefined;
  /** What bridges show. */
  readonly secret: string;
  /** What this bridge is called in the nodes' logs. */
  readonly bridge: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Clients of a lost link are told to come back over this time, in milliseconds. */
  readonly spreadMs: number;
  /** At least 0, less than 1: bridges choose different nodes. */
  readonly random: () => number;
}

interface Candidate {
  readonly backbone: Backbone;
  /** Links that it has refused or lost, in a row. */
  failures: number;
  /** Until when it is not linked to, monotonic. */
  notBeforeMs: number;
  /** Whether the last link to it has failed. */
  refused: boolean;
}

interface Linked {
  readonly link: Link;
  readonly candidate: Candidate;
  readonly sinceMs: number;
  /** Whether it has worked. */
  up: boolean;
}

export class Links implements SessionPort {
  readonly #options: LinksOptions;
  readonly #candidates: readonly Candidate[];
  /** Where new sessions go. */
  #current: Linked | undefined;
  /** What is to be current once it is open. */
  #opening: Linked | undefined;
  /** Every link that has not ended: those that are no longer current keep the sessions they have. */
  readonly #linked = new Set<Linked>();
  /** Which node is tried next. */
  #next: number;
  #timer: Timer | undefined;
  #fullUntilMs = 0;
  #leaving = false;
  #closed = false;
  #empty: (() => void) | undefined;

  constructor(options: LinksOptions) {
    const { backbones, tls, clock, random, telemetry } = options;
    this.#options = options;
    const onChanged = (): void => this.#look();
    this.#candidates = backbones.map((address) => ({
      backbone: new Backbone({
        address,
        tls,
        clock,
        random,
        onChanged,
        onFailed: (cause) => telemetry.emit("link.failed", { peer: address, cause }),
      }),
      failures: 0,
      notBeforeMs: 0,
      refused: false,
    }));
    this.#next = Math.floor(random() * backbones.length);
  }

  start(): void {
    for (const { backbone } of this.#candidates) backbone.start();
  }

  /** Why there is no link, for anybody to see; empty: there is one. */
  get trouble(): readonly string[] {
    if (this.#leaving) return ["leaving"];
    if (this.#current !== undefined && this.#current.candidate.backbone.trouble === undefined) return [];
    return this.#candidates.map(({ backbone, refused }, index) => {
      const reason = backbone.trouble ?? (refused ? "has ended the link" : "is being linked to");
      return `${this.#nameOf(index)} ${reason}`;
    });
  }

  /** What is not as it should be while there is a link: servers that take none. */
  get limits(): readonly string[] {
    return this.#candidates.flatMap(({ backbone: { trouble } }, index) =>
      trouble === undefined ? [] : [`${this.#nameOf(index)} ${trouble}`],
    );
  }

  /** Addresses are nobody else's business. */
  #nameOf(index: number): string {
    const count = this.#candidates.length;
    return count === 1 ? "the server" : `server ${index + 1} of ${count}`;
  }

  /** Sessions on all links. */
  get size(): number {
    let size = 0;
    for (const { link } of this.#linked) size += link.size;
    return size;
  }

  /** The node that calls are made to. Undefined: there is none. */
  get backbone(): Backbone | undefined {
    if (this.#current !== undefined) return this.#current.candidate.backbone;
    return this.#candidates.find(({ backbone }) => backbone.trouble === undefined)?.backbone;
  }

  admit(): Admission {
    if (this.#leaving || this.#current === undefined) return { admitted: false, retryAfterMs: NO_LINK_RETRY_MS };
    const leftMs = this.#fullUntilMs - this.#options.clock.monotonic();
    return leftMs > 0 ? { admitted: false, retryAfterMs: leftMs } : { admitted: true };
  }

  accept(sink: SessionSink, origin: ConnectionOrigin): Connection {
    const connection = this.#leaving ? undefined : this.#current?.link.accept(sink, origin);
    if (connection !== undefined) return connection;
    // Admitted before the link was lost.
    dismiss(sink, CloseCode.GOING_AWAY, "there is no server to link to", NO_LINK_RETRY_MS);
    return ENDED;
  }

  /**
   * Takes no new connections. What clients have asked is answered, then they are told to come back, spread over `spreadMs`. Resolves when
   * all have been told; whoever waits for an answer after `deadlineMs` is told without it.
   */
  async leave(spreadMs: number, deadlineMs: number): Promise<void> {
    this.#leaving = true;
    const told = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(deadlineMs, told.resolve);
    this.#empty = told.resolve;
    const sessions = this.#sessions();
    for (const [index, session] of sessions.entries()) session.leave(delayOf(index, sessions.length, spreadMs));
    if (sessions.length === 0) told.resolve();
    await told.promise;
    timer.cancel();
    this.#dismiss(this.#sessions(), "the bridge is leaving", spreadMs);
  }

  /** Ends every link and timer. Sessions that are left are told to come back. */
  close(): void {
    this.#leaving = true;
    this.#closed = true;
    this.#timer?.cancel();
    for (const { link } of [...this.#linked]) link.close();
    for (const { backbone } of this.#candidates) backbone.close();
  }

  #sessions(): readonly LinkSession[] {
    return [...this.#linked].flatMap(({ link }) => [...link.sessions]);
  }

  /** Sees to it that the current link is one to a node that takes links. */
  #look(): void {
    if (this.#closed || this.#opening !== undefined) return;
    const current = this.#current;
    // A node that takes no links any more keeps its sessions, and this bridge's new ones while no other does better.
    if (current !== undefined && current.candidate.backbone.trouble === undefined) return;
    const nowMs = this.#options.clock.monotonic();
    this.#timer?.cancel();
    this.#timer = undefined;
    const count = this.#candidates.length;
    let waitMs = Number.POSITIVE_INFINITY;
    for (let step = 0; step < count; step++) {
      const at = (this.#next + step) % count;
      const candidate = this.#candidates[at];
      if (candidate === undefined || candidate.backbone.trouble !== undefined) continue;
      if (candidate.notBeforeMs > nowMs) {
        waitMs = Math.min(waitMs, candidate.notBeforeMs - nowMs);
        continue;
      }
      this.#next = (at + 1) % count;
      this.#open(candidate);
      return;
    }
    if (waitMs !== Number.POSITIVE_INFINITY) this.#timer = this.#options.clock.after(waitMs, () => this.#look());
  }

  #open(candidate: Candidate): void {
    const { tls, secret, bridge, clock, telemetry } = this.#options;
    const { address } = candidate.backbone;
    const linked: Linked = {
      candidate,
      sinceMs: clock.monotonic(),
      up: false,
      link: new Link({
        address,
        tls,
        secret,
        bridge,
        clock,
        onOpen: () => this.#opened(linked),
        onOver: (sessions, cause) => this.#lost(linked, sessions, cause),
        onEmpty: () => {
          this.#retire(linked);
          this.#tellEmpty();
        },
        onRefused: (retryAfterMs) => {
          this.#fullUntilMs = clock.monotonic() + retryAfterMs;
        },
        onCarried: (bytes, deliveries) => telemetry.emit("link.carried", { bytes, deliveries }),
      }),
    };
    this.#linked.add(linked);
    this.#opening = linked;
  }

  #opened(linked: Linked): void {
    const before = this.#current;
    linked.up = true;
    this.#opening = undefined;
    this.#current = linked;
    const { candidate } = linked;
    candidate.refused = false;
    this.#options.telemetry.emit("link.turned", { peer: candidate.backbone.address, up: true, sessions: 0 });
    if (before !== undefined) this.#retire(before);
    // It may have stopped to take links meanwhile.
    this.#look();
  }

  /** A link that takes no new sessions ends with its last. */
  #retire(linked: Linked): void {
    if (linked !== this.#current && linked !== this.#opening && linked.link.size === 0) linked.link.close();
  }

  #tellEmpty(): void {
    if (this.#leaving && this.size === 0) this.#empty?.();
  }

  #lost(linked: Linked, sessions: readonly LinkSession[], cause: unknown): void {
    const { clock, telemetry, random, spreadMs } = this.#options;
    const { candidate } = linked;
    this.#linked.delete(linked);
    if (this.#closed) {
      this.#dismiss(sessions, "the bridge is leaving", spreadMs);
      return;
    }
    const { address } = candidate.backbone;
    const nowMs = clock.monotonic();
    if (nowMs - linked.sinceMs > SETTLED_MS) candidate.failures = 0;
    candidate.notBeforeMs = nowMs + pauseBefore(candidate.failures, LINK_PAUSE, random);
    if (cause !== undefined) {
      candidate.failures += 1;
      candidate.refused = true;
    }
    if (linked.up) telemetry.emit("link.turned", { peer: address, up: false, sessions: sessions.length, cause });
    else telemetry.emit("link.failed", { peer: address, cause });
    this.#dismiss(sessions, "the connection to the server was lost", spreadMs);
    if (this.#opening === linked) this.#opening = undefined;
    if (this.#current === linked) this.#current = undefined;
    this.#tellEmpty();
    this.#look();
  }

  #dismiss(sessions: readonly LinkSession[], reason: string, spreadMs: number): void {
    for (const [index, session] of sessions.entries()) {
      session.dismiss(CloseCode.GOING_AWAY, reason, delayOf(index, sessions.length, spreadMs));
    }
  }
}

/** When the client at this place of so many is to come back. */
function delayOf(index: number, count: number, spreadMs: number): number {
  return ((index + 1) / count) * spreadMs;
}

/** A connection that was ended as it came. */
const ENDED: Connection = {
  receive() {},
  malformed() {},
  drained() {},
  finish() {},
  leave() {},
  gone() {},
};
