// Requests of one connection: each has a number, and the answer that carries it. No more are under way than the server takes.

import { ClosedError, DisconnectedError, RefusedError } from "../error.js";
import type { ClientFrame, ServerFrame } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";

/** Until the server has said how many it takes. */
const FIRST_IN_FLIGHT = 16;
/** Requests that wait for others to be answered, at most. */
const MAX_WAITING = 10_000;
/** From sending to the answer. The connection is not given up for it: its heartbeat tells whether it lives. */
const ANSWER_DEADLINE_MS = 30_000;

interface Waiting {
  readonly frame: ClientFrame;
  readonly resolve: (frame: ServerFrame) => void;
  readonly reject: (error: Error) => void;
  timer?: Timer;
}

export class Requests {
  readonly #platform: Pick<Platform, "after">;
  readonly #send: (frame: ClientFrame) => void;
  readonly #asked = new Map<number, Waiting>();
  #waiting: Waiting[] = [];
  #ref = 0;
  #maxInFlight = FIRST_IN_FLIGHT;
  #ended = false;

  constructor(platform: Pick<Platform, "after">, send: (frame: ClientFrame) => void) {
    this.#platform = platform;
    this.#send = send;
  }

  /** How many may be under way. */
  allow(maxInFlight: number): void {
    this.#maxInFlight = Math.max(maxInFlight, 1);
    this.#pump();
  }

  /** Sends a frame, after those that came before. Rejects with RefusedError, or with DisconnectedError where no answer came. */
  ask(frame: ClientFrame): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(new DisconnectedError("not connected"));
      else if (this.#waiting.length >= MAX_WAITING) reject(new DisconnectedError("too much waits to be sent"));
      else {
        this.#waiting.push({ frame, resolve, reject });
        this.#pump();
      }
    });
  }

  /** Returns false for an answer that nobody waits for. */
  answered(frame: ServerFrame): boolean {
    const { replyTo = 0, error } = frame;
    const waiting = this.#asked.get(replyTo);
    if (waiting === undefined) return false;
    this.#asked.delete(replyTo);
    waiting.timer?.cancel();
    if (error === undefined) waiting.resolve(frame);
    else waiting.reject(new RefusedError(error));
    this.#pump();
    return true;
  }

  /** The connection is gone. */
  end(closed: boolean): void {
    this.#ended = true;
    const all = [...this.#asked.values(), ...this.#waiting];
    this.#asked.clear();
    this.#waiting = [];
    const error = closed ? new ClosedError("the client was closed") : new DisconnectedError("the connection was lost");
    for (const { timer, reject } of all) {
      timer?.cancel();
      reject(error);
    }
  }

  #pump(): void {
    while (this.#asked.size < this.#maxInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const ref = ++this.#ref;
      this.#asked.set(ref, next);
      next.timer = this.#platform.after(ANSWER_DEADLINE_MS, () => {
        this.#asked.delete(ref);
        next.reject(new DisconnectedError("no answer in time"));
        this.#pump();
      });
      this.#send({ ...next.frame, ref });
    }
  }
}
