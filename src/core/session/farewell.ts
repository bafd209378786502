// Tells the sessions of a leaving node to come back: not all at once, and each at another moment.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";

/** Telling takes a third of the time over which they come back, and this at most, in milliseconds: the process waits for it. */
const TELLING_MS = 1_000;
const TELLING_SHARE = 1 / 3;
/** Between two lots of sessions that are told, in milliseconds. */
const LOT_MS = 50;

/** Who can be told. One that has ended meanwhile takes no notice. */
export interface Told {
  close(code: CloseCode, reason: string, reconnectAfterMs: number): void;
}

export class Farewell {
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #goOn: (() => void) | undefined;
  #hurried = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves when everybody has been told. The sessions' delays lie evenly between `soonestMs` and `spreadMs`, and so do the moments they
   * are told at in a shorter time: neither their leaving nor their return is a burst. Called once.
   */
  say(sessions: readonly Told[], spreadMs: number, soonestMs = 0): Promise<void> {
    const tellingMs = Math.min(TELLING_MS, spreadMs * TELLING_SHARE);
    const { promise, resolve } = Promise.withResolvers<void>();
    const startedAtMs = this.#clock.monotonic();
    let told = 0;
    const tell = (): void => {
      // By the clock: a busy process tells more at a time, and takes no longer.
      const shareTold = (this.#clock.monotonic() - startedAtMs + LOT_MS) / tellingMs;
      const until = this.#hurried || shareTold >= 1 ? sessions.length : Math.ceil(shareTold * sessions.length);
      for (const session of sessions.slice(told, until)) {
        const delayMs = soonestMs + (++told / sessions.length) * (spreadMs - soonestMs);
        session.close(CloseCode.GOING_AWAY, "the node is leaving", delayMs);
      }
      if (told === sessions.length) resolve();
      else this.#timer = this.#clock.after(LOT_MS, tell);
    };
    this.#goOn = tell;
    tell();
    return promise;
  }

  /** Whoever has not been told yet is told now. */
  hurry(): void {
    this.#hurried = true;
    this.#timer?.cancel();
    this.#goOn?.();
  }
}
