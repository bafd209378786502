// What a session asks: within what it may, in the order of its lanes, and counted until it is answered.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { LocalSession } from "../../ports/session-directory.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { Payer } from "../limit/limiter.js";
import type { OperationClass } from "../limit/rates.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { Outcome } from "../room/command.js";
import type { Submission } from "../room/turns.js";
import { Lanes } from "./lanes.js";
import type { LiveConnection } from "./live-connection.js";
import type { ServerFrame } from "./port.js";
import type { SessionServices } from "./services.js";

/** A request of the client's. */
export interface Request {
  /** What the answer names. */
  readonly ref: number;
  /** Undefined: it is limited as a frame alone. */
  readonly of: OperationClass | undefined;
  /** As refusals and telemetry name it. */
  readonly operation: string;
  /** What begins after the requests before it in the same lane. */
  readonly lane: string;
}

export class SessionRequests {
  readonly #services: SessionServices;
  readonly #connection: LiveConnection;
  readonly #session: LocalSession;
  /** Whose buckets it takes from. There once registered. */
  #payer: Payer | undefined;
  readonly #lanes = new Lanes();
  readonly #frameRate: TokenBucket;
  /** Made with the first refusal: most sessions never meet one. */
  #refusalRate: TokenBucket | undefined;
  #inFlight = 0;
  /** What began without having been asked for, and has no outcome yet. */
  #unasked = 0;
  #ended = false;

  constructor(services: SessionServices, connection: LiveConnection, session: LocalSession) {
    const { clock, limits } = services.deps;
    this.#services = services;
    this.#connection = connection;
    this.#session = session;
    this.#frameRate = new TokenBucket(limits.frameRate, clock.monotonic());
  }

  /** Whether nothing waits for an answer. */
  get idle(): boolean {
    return this.#inFlight === 0 && this.#unasked === 0;
  }

  /** Whether nobody is there to be answered. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The session has its place. Called once. */
  registered(identity: Identity): void {
    this.#payer = this.#services.limiter.open(identity);
  }

  end(): void {
    this.#ended = true;
    if (this.#payer !== undefined) this.#services.limiter.close(this.#payer);
  }

  /** Whether there was one frame too many, which is refused. */
  refusesFrame(ref: number, operation: string): boolean {
    const waitMs = this.#frameRate.take(this.#services.deps.clock.monotonic());
    if (waitMs > 0) this.refuse(ref, operation, this.#services.limiter.refusal("session", "frame", waitMs));
    return waitMs > 0;
  }

  /** What may wait: it holds up what comes after it in its lane. Throws the refusal. */
  ask(request: Request, handle: () => Promise<void>): void {
    this.#enter(request.of);
    this.#lanes.run(request.lane, () => {
      if (this.#ended) {
        this.#leave();
        return undefined;
      }
      return handle()
        .catch((error: unknown) => this.#refusePaid(request, error))
        .finally(() => this.#leave());
    });
  }

  /** A change of a room: what comes after it in its lane need not wait for its outcome. Throws the refusal. */
  submit(request: Request, submit: () => Submission, answer: (outcome: Outcome) => ServerFrame["frame"]): void {
    this.#enter(request.of);
    this.#lanes.run(request.lane, () => {
      // Whoever has gone will ask again on the next connection: what waited behind must not come after that.
      if (this.#ended) {
        this.#leave();
        return undefined;
      }
      const { turned, outcome } = submit();
      outcome.then(
        (done) => {
          this.reply(request.ref, answer(done));
          this.#leave();
        },
        (error: unknown) => {
          this.#refusePaid(request, error);
          this.#leave();
        },
      );
      return turned;
    });
  }

  /** What nobody has asked for in a frame, but waits for. Must not reject. */
  begin(lane: string, handle: () => Promise<void>): void {
    this.#unasked++;
    this.#lanes.run(lane, () =>
      handle().finally(() => {
        this.#unasked--;
        this.#tellAnswered();
      }),
    );
  }

  /** What nobody waits for, in its lane all the same. */
  after(lane: string, handle: () => Promise<unknown> | undefined): void {
    this.#lanes.run(lane, handle);
  }

  reply(ref: number, frame: ServerFrame["frame"]): void {
    if (ref !== 0 && !this.#ended) this.#connection.send(frame, ref);
  }

  /** Refuses a request; whoever does not heed refusals is closed. */
  refuse(ref: number, operation: string, refusal: TrunklineError): void {
    this.#connection.refuse(ref, operation, refusal);
    if (refusal.code !== ErrorCode.RATE_LIMITED) return;
    const { clock, limits, telemetry } = this.#services.deps;
    const nowMs = clock.monotonic();
    this.#refusalRate ??= new TokenBucket(limits.refusalRate, nowMs);
    const waitMs = this.#refusalRate.take(nowMs);
    if (waitMs === 0) return;
    const options = { retryAfterMs: refusal.retryAfterMs ?? waitMs };
    const abuse = new TrunklineError(ErrorCode.RATE_LIMITED, "too much was asked in spite of refusals", options);
    const { sessionId, tenantId, userId } = this.#session;
    telemetry.emit("session.abusive", { sessionId, tenantId, userId });
    this.#connection.close(CloseCode.OVERLOADED, abuse.message, abuse);
  }

  /** Throws RATE_LIMITED. */
  spend(of: OperationClass): void {
    if (this.#payer !== undefined) this.#services.limiter.spend(this.#payer, of);
  }

  /** A session may have been told to close while its node was paused. Throws UNAVAILABLE. */
  requireCurrent(): void {
    if (this.#services.deps.directory.current) return;
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node was paused and looks what was said meanwhile", {
      retryAfterMs: 500,
    });
  }

  /** What was refused after it had been paid for. */
  #refusePaid({ ref, of, operation }: Request, error: unknown): void {
    const refusal = TrunklineError.from(error);
    if (of !== undefined && this.#payer !== undefined) this.#services.limiter.refused(this.#payer, of, refusal);
    this.refuse(ref, operation, refusal);
  }

  #enter(of: OperationClass | undefined): void {
    const { maxInFlight } = this.#services.deps.limits;
    this.requireCurrent();
    if (this.#services.draining()) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving", { retryAfterMs: 1_000 });
    }
    if (this.#inFlight >= maxInFlight) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many requests without an answer yet", {
        details: { limit: String(maxInFlight) },
      });
    }
    if (this.#connection.outbox.full) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many bytes wait for you: read first");
    }
    if (of !== undefined) this.spend(of);
    this.#inFlight++;
    this.#services.requests.enter();
  }

  #leave(): void {
    this.#inFlight--;
    this.#services.requests.leave();
    this.#tellAnswered();
  }

  #tellAnswered(): void {
    if (this.idle && !this.#ended) this.#connection.answered();
  }
}
