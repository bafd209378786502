// Asks a service outside: each question has a deadline, only so many are asked at once, the others wait in line, and nobody waits for a
// service that is away.

import { type ClientReadableStream, status } from "@grpc/grpc-js";
import type { Clock } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RpcMethod } from "../../rpc/definition.js";
import { Channel, type ChannelOptions, type UnaryCall } from "./channel.js";
import { CircuitBreaker, type Permit } from "./circuit-breaker.js";
import { Lateness } from "./lateness.js";
import { type WaitingLimits, WaitingLine } from "./waiting-line.js";

/** Failures in a row that open the breaker, and the delays of its probes in milliseconds. */
const BREAKER = { failures: 5, firstDelayMs: 1_000, maxDelayMs: 30_000 };
/** When to come back after a failure or a full house, in milliseconds; up to twice that by jitter. */
const RETRY_MS = 500;
/** A call of which the process was late for so great a part of the deadline may have been answered well in time. */
const EXCUSED_PART = 1 / 4;
const NO_LINE: WaitingLimits = { places: 0, longestMs: 0 };

/** Statuses by which a service that works turns one call down: they say nothing about its health. */
const JUDGED: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  // What a handler that throws turns into: one odd question must not shut everybody out.
  status.UNKNOWN,
]);

/** What callers are told where there is no answer. */
export interface Refusals {
  /** It has failed several times in a row, and is not asked. */
  readonly away: string;
  /** It was asked, and failed. */
  readonly failed: string;
  /** Too many questions wait for an answer, or this one waited too long to be asked. */
  readonly busy: string;
}

export interface OutsideServiceOptions extends ChannelOptions {
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. Default: Math.random. */
  readonly random?: (() => number) | undefined;
  /** Deadline of one question, in milliseconds. */
  readonly timeoutMs: number;
  /** Questions without an answer at once; more would only queue up inside the service. */
  readonly maxInFlight: number;
  /** Those beyond wait here, to be asked in their turn. Absent: they are refused. */
  readonly line?: WaitingLimits | undefined;
  readonly refusals: Refusals;
  /** It is away, with what it failed with last, or back (undefined). Must not throw. */
  readonly onTurn: (away: { readonly cause: unknown } | undefined) => void;
}

export class OutsideService {
  readonly #options: OutsideServiceOptions;
  readonly #channel: Channel;
  readonly #breaker: CircuitBreaker;
  readonly #calls = new Set<UnaryCall<unknown>>();
  readonly #line: WaitingLine;
  readonly #lateness: Lateness;
  /** Questions that are asked, or have been told that it is their turn. */
  #inFlight = 0;
  #lastFailure: unknown;
  #closed = false;

  constructor(options: OutsideServiceOptions) {
    this.#options = options;
    this.#channel = new Channel(options);
    this.#lateness = new Lateness(options.clock);
    this.#line = new WaitingLine(options.clock, options.line ?? NO_LINE, () => this.unavailable(options.refusals.busy));
    this.#breaker = new CircuitBreaker({
      ...BREAKER,
      clock: options.clock,
      onChange: (open) => {
        // The failures may be those of one dead connection.
        if (open) {
          this.#channel.reconnect();
          this.#line.refuse(() => this.#away(BREAKER.firstDelayMs));
        }
        options.onTurn(open ? { cause: this.#lastFailure } : undefined);
      },
    });
  }

  /** Whether a question would be asked and could arrive, as far as known. */
  get available(): boolean {
    return !this.#closed && !this.#breaker.refusing && this.#channel.reachable;
  }

  /**
   * Rejects with UNAVAILABLE and `retryAfterMs` where there is no answer. `clean` makes of what a call failed with something fit for a
   * log, whatever the service has put into it.
   */
  async ask<I, O>(method: RpcMethod<I, O>, request: I, clean: (cause: unknown) => unknown = same): Promise<O> {
    // Before any waiting: who cannot be asked now is not waited for.
    if (this.#closed) throw this.#leaving();
    if (this.#breaker.refusing) this.#admit();
    if (this.#inFlight < this.#options.maxInFlight) this.#inFlight++;
    else await this.#line.join();
    try {
      return await this.#ask(method, request, clean);
    } finally {
      // The place is handed over, never free in between: whoever came then would be before who waits.
      if (!this.#line.next()) this.#inFlight--;
    }
  }

  async #ask<I, O>(method: RpcMethod<I, O>, request: I, clean: (cause: unknown) => unknown): Promise<O> {
    const { refusals, timeoutMs } = this.#options;
    // Its turn may have come in the same moment.
    if (this.#closed) throw this.#leaving();
    const permit = this.#admit();
    const watch = this.#lateness.watch();
    const call = this.#channel.call(method, request, timeoutMs);
    this.#calls.add(call);
    try {
      const answer = await call.answer;
      permit.succeeded();
      return answer;
    } catch (error) {
      const cause = clean(error);
      this.#lastFailure = cause;
      const wasLate = watch.lateMs >= timeoutMs * EXCUSED_PART;
      const isExcused = wasLate && statusOf(error) === status.DEADLINE_EXCEEDED;
      if (this.#closed || isJudgement(error) || isExcused) permit.abandoned();
      else permit.failed();
      throw this.unavailable(refusals.failed, cause);
    } finally {
      watch.end();
      this.#calls.delete(call);
    }
  }

  /** Throws where the service is away. */
  #admit(): Permit {
    const admission = this.#breaker.admit();
    if (!admission.admitted) throw this.#away(admission.retryAfterMs);
    return admission.permit;
  }

  /** Nobody is to come back before it is asked again, and not everybody just then. */
  #away(askedInMs: number): TrunklineError {
    const { random = Math.random, refusals } = this.#options;
    return unavailable(refusals.away, askedInMs + random() * Math.max(RETRY_MS, askedInMs / 2));
  }

  #leaving(): TrunklineError {
    return this.unavailable("this node is shutting down");
  }

  stream<I, O>(method: RpcMethod<I, O>, request: I): ClientReadableStream<O> {
    return this.#channel.stream(method, request);
  }

  /** UNAVAILABLE, with a time to come back that is not everybody's. */
  unavailable(message: string, cause?: unknown): TrunklineError {
    const { random = Math.random } = this.#options;
    return unavailable(message, RETRY_MS * (1 + random()), cause);
  }

  /** Takes no more questions, and gives up those without an answer and those that wait. */
  giveUp(): void {
    this.#closed = true;
    this.#line.refuse(() => this.#leaving());
    for (const call of this.#calls) call.cancel();
  }

  /** Ends the connection. */
  close(): void {
    this.giveUp();
    this.#channel.close();
  }
}

function same(cause: unknown): unknown {
  return cause;
}

/** Whether a call's failure is about the call, not about the service's health. */
function isJudgement(error: unknown): boolean {
  const code = statusOf(error);
  return code !== undefined && JUDGED.has(code);
}

function statusOf(error: unknown): status | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "number" ? error.code : undefined;
}

function unavailable(message: string, retryAfterMs: number, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, {
    retryAfterMs: Math.max(1, Math.ceil(retryAfterMs)),
    cause,
  });
}
