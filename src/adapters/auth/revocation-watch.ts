// The stream of revocations: kept open, and opened again from where it ended.

import { type ClientReadableStream, status } from "@grpc/grpc-js";
import type { WatchRevocationsResponse } from "../../gen/trunkline/v1/auth_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";

/** The ceiling of the first wait before connecting again, in milliseconds; doubles with each attempt. */
const FIRST_WAIT_MS = 250;
/** The highest ceiling, in milliseconds. */
const MAX_WAIT_MS = 30_000;
/** Jitter may come out near zero; this keeps a failing loop from spinning, in milliseconds. */
const MIN_WAIT_MS = 20;
/** A stream that has lived so long was a good one: waiting begins anew, in milliseconds. */
const HEALTHY_MS = 10_000;
/** An auth service without revocations is asked again now and then, in milliseconds: it may have been upgraded. */
const UNSUPPORTED_WAIT_MS = 5 * 60_000;
/** A longer cursor is not kept, in characters. */
const MAX_CURSOR = 4_096;

export interface RevocationWatchOptions {
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly connect: (cursor: string) => ClientReadableStream<WatchRevocationsResponse>;
  /** Must not throw. */
  readonly onMessage: (message: WatchRevocationsResponse) => void;
  readonly onLost: (cause: unknown, retryInMs: number) => void;
  /** The service does not implement revocations. Called once. */
  readonly onUnsupported: () => void;
}

type State =
  | {
      readonly kind: "streaming";
      readonly stream: ClientReadableStream<WatchRevocationsResponse>;
      readonly since: number;
    }
  | { readonly kind: "waiting"; readonly timer: Timer }
  | { readonly kind: "closed" };

export class RevocationWatch {
  readonly #options: RevocationWatchOptions;
  #state: State;
  #cursor = "";
  #attempt = 0;
  #saidUnsupported = false;

  constructor(options: RevocationWatchOptions) {
    this.#options = options;
    this.#state = this.#open();
  }

  /** Ends the present stream; the next one goes on from its last message. */
  restart(): void {
    if (this.#state.kind === "streaming") this.#state.stream.cancel();
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "streaming") state.stream.cancel();
    if (state.kind === "waiting") state.timer.cancel();
  }

  #open(): State {
    const stream = this.#options.connect(this.#cursor);
    stream.on("data", (message: WatchRevocationsResponse) => this.#receive(stream, message));
    // 'end' and 'error' may both come, in either order; the first one counts.
    stream.on("error", (error) => this.#ended(stream, error));
    stream.on("end", () => this.#ended(stream, new Error("the auth service ended the stream")));
    return { kind: "streaming", stream, since: this.#options.clock.monotonic() };
  }

  #receive(stream: ClientReadableStream<WatchRevocationsResponse>, message: WatchRevocationsResponse): void {
    if (this.#state.kind !== "streaming" || this.#state.stream !== stream) return;
    this.#options.onMessage(message);
    if (message.cursor !== "" && message.cursor.length <= MAX_CURSOR) this.#cursor = message.cursor;
  }

  #ended(stream: ClientReadableStream<WatchRevocationsResponse>, cause: unknown): void {
    const state = this.#state;
    if (state.kind !== "streaming" || state.stream !== stream) return;
    if (this.#options.clock.monotonic() - state.since >= HEALTHY_MS) this.#attempt = 0;
    const unsupported = isUnimplemented(cause);
    const waitMs = unsupported ? UNSUPPORTED_WAIT_MS : this.#wait();
    const timer = this.#options.clock.after(waitMs, () => {
      this.#state = this.#open();
    });
    this.#state = { kind: "waiting", timer };
    if (!unsupported) this.#options.onLost(cause, waitMs);
    else if (!this.#saidUnsupported) {
      this.#saidUnsupported = true;
      this.#options.onUnsupported();
    }
  }

  /** Full jitter: nodes that have lost the same service do not come back as one. */
  #wait(): number {
    const ceiling = Math.min(FIRST_WAIT_MS * 2 ** this.#attempt, MAX_WAIT_MS);
    if (ceiling < MAX_WAIT_MS) this.#attempt += 1;
    return Math.max(MIN_WAIT_MS, Math.round(this.#options.random() * ceiling));
  }
}

function isUnimplemented(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === status.UNIMPLEMENTED;
}
