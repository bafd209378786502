// A change on its way, as whoever asked for it sees it.

import type { ClientFrame } from "../gen/types.js";

export type SendingState =
  /** For a connection, for its turn, or until it may be tried again. */
  | "waiting"
  /** The server has not answered yet. */
  | "sending"
  /** The server has it for good. */
  | "stored"
  /** It will not be stored: see `error`. */
  | "failed";

/** What a change asks of who sends it. */
export interface Sender {
  retry(sending: Sending): void;
  discard(sending: Sending): void;
}

/**
 * A change that is kept and sent again until the server has answered. `await` it for the server's answer: it rejects with `RefusedError` when it
 * will never be stored, with `GivenUpError` when its time was over, it was discarded, or too much waits. Nobody need await it.
 */
export class Sending<T = unknown> implements Pick<Promise<T>, "then" | "catch" | "finally"> {
  readonly roomId: string;
  /** The key of the change: of a message its `clientMessageId`. The same each time it is sent. */
  readonly key: string;
  /** What is sent, without the number of the attempt. */
  readonly frame: ClientFrame;
  /** When it was asked for, in milliseconds since 1970. */
  readonly createdAtMs: number;
  readonly #sender: Sender;
  #answer: PromiseWithResolvers<unknown>;
  #state: SendingState = "waiting";
  #error: Error | undefined;
  #stored: T | undefined;

  /** @internal */
  constructor(
    { roomId, key, frame, createdAtMs }: Pick<Sending, "roomId" | "key" | "frame" | "createdAtMs">,
    sender: Sender,
  ) {
    this.roomId = roomId;
    this.key = key;
    this.frame = frame;
    this.createdAtMs = createdAtMs;
    this.#sender = sender;
    this.#answer = unanswered();
  }

  /** Of a message; of another change its key. */
  get clientMessageId(): string {
    return this.key;
  }

  get state(): SendingState {
    return this.#state;
  }

  /** The server's answer. Undefined: there is none yet. */
  get answer(): T | undefined {
    return this.#stored;
  }

  /** Why it has failed. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Sends it once more where it has failed, after all else that waits for the room. What awaits it from now on is told how that goes. */
  retry(): void {
    this.#sender.retry(this);
  }

  /** Gives it up; forgets one that has failed. What was sent already may be stored all the same. */
  discard(): void {
    this.#sender.discard(this);
  }

  // biome-ignore lint/suspicious/noThenProperty: it is there to be awaited.
  then<Answer = T, Refusal = never>(
    answered?: ((answer: T) => Answer | PromiseLike<Answer>) | null,
    failed?: ((error: unknown) => Refusal | PromiseLike<Refusal>) | null,
  ): Promise<Answer | Refusal> {
    return (this.#answer.promise as Promise<T>).then(answered, failed);
  }

  catch<Refusal = never>(failed?: ((error: unknown) => Refusal | PromiseLike<Refusal>) | null): Promise<T | Refusal> {
    return this.then(undefined, failed);
  }

  finally(settled?: (() => void) | null): Promise<T> {
    return this.then().finally(settled);
  }

  // — for the outbox —

  /** @internal */
  become(state: "waiting" | "sending"): void {
    if (this.#state === "failed") this.#answer = unanswered();
    this.#error = undefined;
    this.#state = state;
  }

  /** @internal */
  stored(answer: T): void {
    this.#state = "stored";
    this.#error = undefined;
    this.#stored = answer;
    this.#answer.resolve(answer);
  }

  /** @internal */
  failed(error: Error): void {
    this.#state = "failed";
    this.#error = error;
    this.#answer.reject(error);
  }
}

/** One that nobody awaits is no error of the application's. */
function unanswered(): PromiseWithResolvers<unknown> {
  const answer = Promise.withResolvers<unknown>();
  answer.promise.catch(() => {});
  return answer;
}
