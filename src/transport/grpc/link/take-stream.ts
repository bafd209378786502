// What a node passes on to one bridge, and what that one answers.

import { create } from "@bufbuild/protobuf";
import type { ServerDuplexStream, StatusObject } from "@grpc/grpc-js";
import type { FrameBatch, NodePassing } from "../../../core/cluster/passing-port.js";
import type { Error as WireError } from "../../../gen/trunkline/v1/error_pb.js";
import { type TakeDown, TakeDownSchema, type TakeUp } from "../../../gen/trunkline/v1/passing_pb.js";
import type { Timer } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { Undecodable } from "../../../rpc/definition.js";
import { type HandlerContext, undecodable } from "../handler.js";
import { http2StreamOf, letGoOnceReset } from "../http2-stream.js";

/** From the stream's beginning to hello, in milliseconds. */
const HELLO_DEADLINE_MS = 10_000;
/** A bridge that has not answered for so long is given up, in milliseconds. */
const ANSWER_DEADLINE_MS = 4_000;
/** Batches without an answer at once; each may be as long as a frame. */
const MAX_WAITING = 256;
const RETRY_AFTER_MS = 1_000;
const NAME = /^[\w-]{1,32}$/;
/** What a session's bridge may refuse a batch with. */
const REFUSALS: ReadonlySet<number> = new Set([
  ErrorCode.NOT_FOUND,
  ErrorCode.CONFLICT,
  ErrorCode.TOO_LARGE,
  ErrorCode.INVALID_ARGUMENT,
  ErrorCode.UNAVAILABLE,
]);

export type TakeCall = ServerDuplexStream<TakeUp | Undecodable, TakeDown>;

export interface TakeContext extends HandlerContext {
  readonly passing: NodePassing;
  /** Reports what ends a stream, and says it for the peer. */
  readonly refuse: (error: unknown) => StatusObject;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: TrunklineError) => void;
  readonly deadline: Timer;
}

export class TakeStream {
  readonly #call: TakeCall;
  readonly #context: TakeContext;
  readonly #onOver: () => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #helloDeadline: Timer;
  #lastId = 0;
  /** Undefined: the bridge has not said who it is. */
  #stopTaking: (() => void) | undefined;
  #over = false;

  /** `onOver` is called once, when the stream has ended. */
  constructor(call: TakeCall, context: TakeContext, onOver: () => void) {
    this.#call = call;
    this.#context = context;
    this.#onOver = onOver;
    const over = (): void => this.#end();
    call.once("cancelled", over).once("error", over).once("close", over);
    letGoOnceReset(http2StreamOf(call));
    this.#helloDeadline = context.clock.after(HELLO_DEADLINE_MS, () =>
      this.#fail(new TrunklineError(ErrorCode.DEADLINE, "no hello came in time")),
    );
    call.on("data", (up: TakeUp | Undecodable) => {
      try {
        if (up instanceof Undecodable) throw undecodable(up);
        this.#take(up);
      } catch (error) {
        this.#fail(error);
      }
    });
    call.on("end", () => this.close());
  }

  close(): void {
    if (this.#over) return;
    this.#end();
    this.#call.end();
  }

  #take({ item }: TakeUp): void {
    if (this.#over) return;
    if (item.case === "hello") this.#greet(item.value.bridge);
    else if (this.#stopTaking === undefined) throw TrunklineError.invalid("item", "the first item must be hello");
    else if (item.case === "answer") this.#answered(item.value.id, item.value.refusal);
    else throw TrunklineError.invalid("item", "nothing that this server knows is set");
  }

  #greet(bridge: string): void {
    if (this.#stopTaking !== undefined) throw TrunklineError.invalid("hello", "it was said already");
    if (!NAME.test(bridge)) throw TrunklineError.invalid("hello.bridge", "1 to 32 of A-Z a-z 0-9 _ -");
    this.#helloDeadline.cancel();
    const { place, end } = this.#context.passing.takeFor(bridge, (batch) => this.#pass(batch));
    this.#stopTaking = end;
    this.#write({ case: "welcome", value: { place } });
  }

  #pass(batch: FrameBatch): Promise<void> {
    if (this.#over) return Promise.reject(unavailable("the bridge of this session is gone"));
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(unavailable("too much is passed to the bridge of this session just now"));
    }
    const id = (this.#lastId % 0xffff_ffff) + 1;
    this.#lastId = id;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deadline = this.#context.clock.after(ANSWER_DEADLINE_MS, () =>
      this.#fail(new TrunklineError(ErrorCode.DEADLINE, "the bridge does not answer")),
    );
    this.#waiting.set(id, { resolve, reject, deadline });
    this.#write({ case: "batch", value: { id, batch } });
    return promise;
  }

  #answered(id: number, refusal: WireError | undefined): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) throw TrunklineError.invalid("answer.id", "nothing was asked under it");
    this.#waiting.delete(id);
    waiting.deadline.cancel();
    if (refusal === undefined) waiting.resolve();
    else waiting.reject(errorOf(refusal));
  }

  #write(item: NonNullable<Parameters<typeof create<typeof TakeDownSchema>>[1]>["item"]): void {
    const down: TakeDown = create(TakeDownSchema, { item });
    this.#call.write(down);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#call.emit("error", this.#context.refuse(error));
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#helloDeadline.cancel();
    this.#stopTaking?.();
    for (const { reject, deadline } of this.#waiting.values()) {
      deadline.cancel();
      reject(unavailable("the bridge of this session is gone"));
    }
    this.#waiting.clear();
    this.#onOver();
  }
}

function unavailable(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_AFTER_MS });
}

function errorOf({ code, message, field, retryAfterMs }: WireError): TrunklineError {
  if (!REFUSALS.has(code)) return unavailable("the bridge of this session cannot take it now");
  return new TrunklineError(code, message, {
    field,
    ...(code === ErrorCode.UNAVAILABLE ? { retryAfterMs: retryAfterMs ?? RETRY_AFTER_MS } : {}),
  });
}
