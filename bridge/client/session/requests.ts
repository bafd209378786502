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
  readonly answered: ((frame: ServerFrame) => void) | undefined;
  readonly resolve: (frame: ServerFrame) => void;
  readonly reject: (error: unknown) => void;
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

  /** How many the server takes. Some are left to what is sent without wanting an answer: the server counts it, too. */
  allow(maxInFlight: number): void {
    this.#maxInFlight = Math.max(maxInFlight - Math.floor(maxInFlight / 8), 1);
    this.#pump();
  }

  /**
   * Sends a frame, after those that came before. Rejects with RefusedError, or with DisconnectedError where no answer came.
   * @param answered Called with the answer before anything is done with what comes after it: promises are told later.
   */
  ask(frame: ClientFrame, answered?: (frame: ServerFrame) => void): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(new DisconnectedError("not connected"));
      else if (this.#waiting.length >= MAX_WAITING) reject(new DisconnectedError("too much waits"));
      else {
        this.#waiting.push({ frame, answered, resolve, reject });
        this.#pump();
      }
    });
  }

  /** Sends a frame at once, whatever waits. Nobody is told of the answer. */
  tell(frame: ClientFrame): void {
    this.#send({ ...frame, ref: ++this.#ref });
  }

  /** An answer that nobody waits for, any more, is passed over. */
  answered(frame: ServerFrame): void {
    const { replyTo = 0, error } = frame;
    const waiting = this.#asked.get(replyTo);
    if (waiting === undefined) return;
    this.#asked.delete(replyTo);
    waiting.timer?.cancel();
    if (error === undefined) {
      waiting.answered?.(frame);
      waiting.resolve(frame);
    } else waiting.reject(new RefusedError(error));
    this.#pump();
  }

  /** The connection is gone. */
  end(closed: boolean): void {
    this.#ended = true;
    const all = [...this.#asked.values(), ...this.#waiting];
    this.#asked.clear();
    this.#waiting = [];
    const error = closed ? new ClosedError("the client is closed") : new DisconnectedError("the connection was lost");
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
      try {
        this.#send({ ...next.frame, ref });
      } catch (error) {
        // It cannot be encoded: that concerns whoever has asked for it, and nobody else.
        this.#asked.delete(ref);
        next.timer.cancel();
        next.reject(error);
      }
    }
  }
}
