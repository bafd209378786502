// Where a bridge's sessions live: a link to one of several nodes, another when that one leaves or is lost.
//
// Clients are not carried over to another node behind their backs: whoever was on a lost link is told to come back, spread over a window,
// and resumes by what it knows itself: by a hello on the same connection where it can, else on another one.

import { Farewell } from "../../src/core/session/farewell.js";
import type {
  Admission,
  Connection,
  ConnectionOrigin,
  Dismissal,
  SessionPort,
  SessionSink,
} from "../../src/core/session/port.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Clock } from "../../src/ports/clock.js";
import type { ClientTls } from "../../src/rpc/tls.js";
import type { Backbone } from "./backbone-node.js";
import { Brought } from "./brought.js";
import { type Candidate, Candidates } from "./candidates.js";
import { Choice } from "./choice.js";
import { Link } from "./link.js";
import type { LinkSession } from "./link-session.js";
import { LinkPassing } from "./passing.js";
import { type Deferral, dismiss, isLasting, type Lasting, Stays } from "./stays.js";
import { Taker } from "./taker.js";
import { WaitingRoom } from "./waiting-room.js";

/** When a client may try again while there is no link, in milliseconds. */
const NO_LINK_RETRY_MS = 1_000;
/** For so long without a link clients keep their connections, in milliseconds: then they are to look for a bridge that has one. */
const STAY_UNLINKED_MS = 15_000;

/** Of a client that comes while there is no link. */
const NO_LINK: Dismissal = {
  code: CloseCode.GOING_AWAY,
  reason: "there is no server to link to",
  reconnectAfterMs: NO_LINK_RETRY_MS,
  error: undefined,
};

export interface LinksOptions {
  /** The nodes: `host:port` each. */
  readonly backbones: readonly string[];
  readonly tls: ClientTls | undefined;
  /** What bridges show at first. */
  readonly secret: string;
  /** What this bridge is called in the nodes' logs. */
  readonly bridge: string;
  /** What tells this bridge from every other: 1 to 32 of `A-Z a-z 0-9 _ -`. */
  readonly id: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Clients of a lost link are told to come back over this time, in milliseconds. */
  readonly spreadMs: number;
  /** At least 0, less than 1: bridges choose different nodes. */
  readonly random: () => number;
}

interface Linked {
  readonly link: Link;
  readonly taker: Taker;
  readonly candidate: Candidate;
  readonly sinceMs: number;
  /** Whether it has worked. */
  up: boolean;
  /** Whether it is known where its sessions are passed to. */
  settled: boolean;
}

export class Links implements SessionPort {
  /** What comes for sessions of other bridges, and to others for those of this one. */
  readonly passing: LinkPassing;
  readonly #options: LinksOptions;
  readonly #candidates: Candidates;
  readonly #choice: Choice<Candidate>;
  readonly #brought: Brought;
  /** Where new sessions go. */
  #current: Linked | undefined;
  /** What is to be current once it is open. */
  #opening: Linked | undefined;
  /** Every link that has not ended: those that are no longer current keep the sessions they have. */
  readonly #linked = new Set<Linked>();
  readonly #waiting: WaitingRoom;
  readonly #stays: Stays;
  /** When the last link was lost, monotonic. */
  #unlinkedAtMs = 0;
  #secret: string;
  #fullUntilMs = 0;
  #leaving = false;
  #closed = false;
  #empty: (() => void) | undefined;

  constructor(options: LinksOptions) {
    const { telemetry } = options;
    this.#options = options;
    this.#secret = options.secret;
    this.#waiting = new WaitingRoom(options.clock, () => this.admit());
    this.#stays = new Stays({ ...options, renew: (client) => this.#renew(client) });
    this.#candidates = new Candidates({
      ...options,
      secret: () => this.#secret,
      onChanged: () => this.#look(),
      onFailed: (peer, cause) => telemetry.emit("link.failed", { peer, cause }),
    });
    const { clock, random } = options;
    this.#brought = new Brought(
      clock,
      () => this.size + this.staying,
      () => this.#tell(),
    );
    this.#choice = new Choice({
      nodes: this.#candidates.order,
      clock,
      random,
      brings: () => this.#brought.clients,
      turnTo: (candidate) => this.#turnTo(candidate),
    });
    const place = (): string => this.#current?.taker.place ?? "";
    this.passing = new LinkPassing({ secret: () => this.#secret, place, node: () => this.backbone?.client });
  }

  start(): void {
    this.#brought.start();
    this.#candidates.start();
  }

  /** From now on this is shown, where anything is: what is open stays. */
  show(secret: string): void {
    this.#secret = secret;
  }

  /** Why there is no link, for anybody to see; empty: there is one. */
  get trouble(): readonly string[] {
    if (this.#leaving) return ["leaving"];
    if (this.#current !== undefined && this.#current.candidate.backbone.trouble === undefined) return [];
    return this.#candidates.troubles;
  }

  /** What is not as it should be while there is a link: servers that take none. */
  get limits(): readonly string[] {
    return this.#candidates.limits;
  }

  /** The longest frame of a client that the node of new sessions takes, in bytes. */
  get maxFrameBytes(): number {
    return this.#current?.link.maxFrameBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Sessions on all links. */
  get size(): number {
    let size = 0;
    for (const { link } of this.#linked) size += link.size;
    return size;
  }

  /** Connections whose session is over, and that are to have another. */
  get staying(): number {
    return this.#stays.size;
  }

  /** The node that calls are made to. Undefined: there is none. */
  get backbone(): Backbone | undefined {
    return (this.#current?.candidate ?? this.#candidates.any)?.backbone;
  }

  admit(): Admission {
    if (this.#leaving || this.#current === undefined) return { admitted: false, retryAfterMs: NO_LINK_RETRY_MS };
    const leftMs = this.#fullUntilMs - this.#options.clock.monotonic();
    return leftMs > 0 ? { admitted: false, retryAfterMs: leftMs } : { admitted: true };
  }

  /** Held is who comes while there is no link. Where a node is busy nobody is: it says so of each session, in a way that can be read. */
  enter(answer: (admission: Admission) => void): () => void {
    if (this.#current === undefined && !this.#leaving) return this.#waiting.wait(answer);
    answer(this.admit());
    return () => {};
  }

  accept(sink: SessionSink, origin: ConnectionOrigin): Connection {
    const connection = this.#leaving ? undefined : this.#current?.link.accept(sink, origin);
    if (connection !== undefined) return connection;
    // Admitted before the link was lost.
    dismiss(sink, NO_LINK);
    return ENDED;
  }

  /**
   * Takes no new connections. Clients are told to come back over `spreadMs`, each once what it has asked is answered: not all at once, but
   * over a third of that time, and a second at most. Resolves when all have been told; whoever waits for an answer after `deadlineMs` is
   * told without it.
   */
  async leave(spreadMs: number, deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#leaving = true;
    this.#tell();
    this.#waiting.open();
    this.#stays.end("the bridge is leaving");
    const farewell = new Farewell(clock);
    const empty = Promise.withResolvers<void>();
    this.#empty = empty.resolve;
    const timer = clock.after(deadlineMs, empty.resolve);
    const sessions = this.#sessions();
    const told = farewell.say(
      sessions.map((session) => ({ close: (_code, _reason, reconnectAfterMs) => session.leave(reconnectAfterMs) })),
      spreadMs,
    );
    if (sessions.length === 0) empty.resolve();
    await empty.promise;
    timer.cancel();
    // Whoever is left has waited too long; where nobody is, nothing is said.
    farewell.hurry();
    await told;
    this.#dismissAll(this.#sessions(), "the bridge is leaving", spreadMs);
  }

  /** Ends every link and timer. Sessions that are left are told to come back. */
  close(): void {
    this.#leaving = true;
    this.#closed = true;
    this.#waiting.open();
    this.#stays.end("the bridge is leaving");
    this.#choice.close();
    this.#brought.stop();
    for (const { link } of [...this.#linked]) link.close();
    this.#candidates.close();
  }

  #sessions(): readonly LinkSession[] {
    return [...this.#linked].flatMap(({ link }) => [...link.sessions]);
  }

  /** Sees to it that the current link is one to a node that takes links. */
  #look(): void {
    if (!this.#closed && this.#opening === undefined) this.#choice.look(this.#current?.candidate);
  }

  /** Tells nodes where this bridge's clients go. */
  #tell(): void {
    const goingTo = this.#leaving ? undefined : (this.#opening ?? this.#current);
    this.#candidates.tell(this.#brought.clients, goingTo?.candidate);
  }

  /** New sessions are to go there. */
  #turnTo(candidate: Candidate): void {
    // The link that it had before may still be there, for the sessions on it.
    const before = [...this.#linked].find((linked) => linked.candidate === candidate && linked.up);
    if (before === undefined) this.#open(candidate);
    else this.#turned(before);
  }

  #open(candidate: Candidate): void {
    const { tls, bridge, id, clock, random, telemetry } = this.#options;
    const { address, client } = candidate.backbone;
    const linked: Linked = {
      candidate,
      sinceMs: clock.monotonic(),
      up: false,
      settled: false,
      taker: new Taker({
        client,
        secret: () => this.#secret,
        name: id,
        clock,
        random,
        take: (batch) => this.passing.take(batch),
        onSettled: () => {
          linked.settled = true;
          this.#opened(linked);
        },
        onFailed: (cause) => telemetry.emit("link.failed", { peer: address, cause }),
      }),
      link: new Link({
        address,
        tls,
        secret: this.#secret,
        bridge,
        clock,
        onOpen: () => {
          linked.up = true;
          candidate.refused = false;
          telemetry.emit("link.turned", { peer: address, up: true, sessions: 0 });
          this.#opened(linked);
        },
        onOver: (sessions, cause) => this.#lost(linked, sessions, cause),
        onDismissed: (session, dismissal) => this.#dismiss(session, dismissal),
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
    this.#tell();
  }

  #opened(linked: Linked): void {
    if (!linked.up || !linked.settled || this.#opening !== linked) return;
    this.#opening = undefined;
    this.#turned(linked);
  }

  #turned(linked: Linked): void {
    const before = this.#current;
    this.#current = linked;
    // What the other node has said counts for that one alone.
    if (before !== linked) this.#fullUntilMs = 0;
    this.#tell();
    if (before !== undefined) this.#retire(before);
    this.#waiting.open();
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
    const { telemetry, spreadMs } = this.#options;
    const { candidate, taker, sinceMs, up } = linked;
    this.#linked.delete(linked);
    taker.close();
    if (this.#closed) {
      this.#dismissAll(sessions, "the bridge is leaving", spreadMs);
      return;
    }
    const { address } = candidate.backbone;
    this.#candidates.linkEnded(candidate, sinceMs, cause);
    if (up) telemetry.emit("link.turned", { peer: address, up: false, sessions: sessions.length, cause });
    else telemetry.emit("link.failed", { peer: address, cause });
    this.#dismissAll(sessions, "the connection to the server was lost", spreadMs);
    if (this.#opening === linked) this.#opening = undefined;
    if (this.#current === linked) {
      this.#current = undefined;
      this.#unlinkedAtMs = this.#options.clock.monotonic();
    }
    this.#tell();
    this.#tellEmpty();
    this.#look();
  }

  #dismissAll(sessions: readonly LinkSession[], reason: string, spreadMs: number): void {
    for (const [index, session] of sessions.entries()) {
      const reconnectAfterMs = ((index + 1) / sessions.length) * spreadMs;
      this.#dismiss(session, { code: CloseCode.GOING_AWAY, reason, reconnectAfterMs, error: undefined });
    }
  }

  #dismiss(session: LinkSession, dismissal: Dismissal): void {
    const released = session.release();
    if (released === undefined) return;
    const { sink, origin, canStay } = released;
    if (canStay && isLasting(sink) && !this.#leaving) this.#stays.tell({ sink, origin }, dismissal);
    else dismiss(sink, dismissal);
  }

  /** A session for a client that has said hello again on the connection that it kept. */
  #renew({ sink, origin }: Lasting): Connection | Deferral {
    const admission = this.admit();
    const session = admission.admitted ? this.#current?.link.accept(sink, origin) : undefined;
    if (session !== undefined) return session;
    if (this.#current === undefined || admission.admitted) {
      const unlinkedMs = this.#options.clock.monotonic() - this.#unlinkedAtMs;
      return { ...NO_LINK, stay: unlinkedMs < STAY_UNLINKED_MS };
    }
    const reconnectAfterMs = admission.retryAfterMs;
    return { code: CloseCode.OVERLOADED, reason: "the server is busy", reconnectAfterMs, error: undefined, stay: true };
  }
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
