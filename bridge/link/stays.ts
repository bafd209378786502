// Clients whose session is over while their connection is not: each was told when to say hello again on it, and is waited for.
//
// Nothing of a session is kept. What a client has sent before that hello was for the session that is over, and is passed over: it knows
// itself what was not answered, and sends it again.

import { create } from "@bufbuild/protobuf";
import { serverFrame, wireError, wireMs } from "../../src/core/session/frames.js";
import type { ClientFrame, Connection, ConnectionOrigin, Dismissal, SessionSink } from "../../src/core/session/port.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { GoodbyeSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Clock } from "../../src/ports/clock.js";
import type { TrunklineError } from "../../src/ports/error.js";

/** How long a client may take for its hello beyond the time that it was told, in milliseconds: as long as on a new connection. */
const HELLO_DEADLINE_MS = 10_000;
/** Who was told no time chooses one itself, up to this, in milliseconds. */
const OWN_CHOICE_MS = 10_000;
/** Frames that are passed over of one client, at most: more than it can have had under way. */
const MAX_PASSED_OVER = 1_000;

/** A connection that goes on when its session is over. */
export interface LastingSink extends SessionSink {
  turnTo(connection: Connection): void;
}

export interface Lasting {
  readonly sink: LastingSink;
  readonly origin: ConnectionOrigin;
}

/** There is no session for a client now; when it may try again at the earliest. */
export interface Deferral extends Dismissal {
  /** Whether it may keep its connection for that. */
  readonly stay: boolean;
}

export interface StaysOptions {
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** A client is there again: its new session, or why there is none. */
  readonly renew: (client: Lasting) => Connection | Deferral;
}

export function isLasting(sink: SessionSink): sink is LastingSink {
  return sink.turnTo !== undefined;
}

export class Stays {
  readonly #options: StaysOptions;
  /** The bridge counts them among its connections: that bounds them. */
  readonly #stays = new Set<Stay>();

  constructor(options: StaysOptions) {
    this.#options = options;
  }

  /** How many are waited for. */
  get size(): number {
    return this.#stays.size;
  }

  /** Tells a client to say hello again, and waits for it. Nothing of its session may be written any more. */
  tell(client: Lasting, dismissal: Dismissal): void {
    const { sink } = client;
    const { reconnectAfterMs } = dismissal;
    sayGoodbye(sink, dismissal, true);
    const deadlineMs = (reconnectAfterMs || OWN_CHOICE_MS) + HELLO_DEADLINE_MS;
    const over = (): void => {
      timer.cancel();
      this.#stays.delete(stay);
    };
    const stay = new Stay(sink, over, (hello, canStay) => this.#return(client, hello, canStay));
    const timer = this.#options.clock.after(deadlineMs, () => stay.end("no hello came in time"));
    this.#stays.add(stay);
    sink.turnTo(stay);
  }

  /** Ends the connections. */
  end(reason: string): void {
    for (const stay of [...this.#stays]) stay.end(reason);
  }

  #return(client: Lasting, hello: ClientFrame, canStay: boolean): void {
    const { random, renew } = this.#options;
    const next = renew(client);
    if ("receive" in next) {
      client.sink.turnTo(next);
      next.receive(hello);
      return;
    }
    // Not everybody at the same moment.
    const later = { ...next, reconnectAfterMs: next.reconnectAfterMs * (1 + random()) };
    if (next.stay && canStay) this.tell(client, later);
    else dismiss(client.sink, later);
  }
}

class Stay implements Connection {
  readonly #sink: SessionSink;
  /** Called once, when it is not waited for any more. */
  readonly #onOver: () => void;
  readonly #onHello: (hello: ClientFrame, canStay: boolean) => void;
  #passedOver = 0;
  #over = false;

  constructor(sink: SessionSink, onOver: () => void, onHello: (hello: ClientFrame, canStay: boolean) => void) {
    this.#sink = sink;
    this.#onOver = onOver;
    this.#onHello = onHello;
  }

  receive(client: ClientFrame): void {
    const { frame } = client;
    if (frame.case !== "hello") this.#passOver();
    else if (this.#leave()) this.#onHello(client, frame.value.canStay);
  }

  malformed(error: TrunklineError, undecodable: boolean): void {
    if (!undecodable) this.#passOver();
    else if (this.#leave()) {
      const { message: reason } = error;
      const code = CloseCode.PROTOCOL_ERROR;
      dismiss(this.#sink, { code, reason, reconnectAfterMs: 0, error: wireError(error) });
    }
  }

  drained(): void {}

  finish(): void {
    this.end("the client sends no more");
  }

  leave(): void {
    this.end("the bridge is leaving");
  }

  gone(): void {
    this.#leave();
  }

  /** The client was told when to come back. */
  end(reason: string): void {
    if (this.#leave()) this.#sink.end(CloseCode.GOING_AWAY, reason);
  }

  #passOver(): void {
    this.#passedOver++;
    if (this.#passedOver <= MAX_PASSED_OVER || !this.#leave()) return;
    const reason = "too much was sent before a hello";
    dismiss(this.#sink, { code: CloseCode.OVERLOADED, reason, reconnectAfterMs: 0, error: undefined });
  }

  /** Returns whether it was waited for. */
  #leave(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#onOver();
    return true;
  }
}

/** Ends a connection that has no session, or none any more. */
export function dismiss(sink: SessionSink, dismissal: Dismissal): void {
  sayGoodbye(sink, dismissal, false);
  sink.end(dismissal.code, dismissal.reason);
}

function sayGoodbye(sink: SessionSink, { code, reconnectAfterMs, error }: Dismissal, stay: boolean): void {
  const value = create(GoodbyeSchema, { reason: code, reconnectAfterMs: wireMs(reconnectAfterMs), error, stay });
  sink.write([sink.encoding.frame(serverFrame({ case: "goodbye", value }))]);
}
