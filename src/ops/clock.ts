// The system's clock.

import type { Clock, Timer } from "../ports/clock.js";

/** setTimeout fires at once beyond this: longer waits are made in steps. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Real time. Its timers do not keep the process alive; what is due `soon` does. */
export function createSystemClock(): Clock {
  const queue = new TurnQueue();
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after: (delayMs, action) => new SystemTimer(delayMs, action),
    soon: (action) => queue.add(action),
  };
}

/** All that is due `soon` shares one immediate. */
class TurnQueue {
  #waiting: (() => void)[] = [];

  add(action: () => void): void {
    this.#waiting.push(action);
    if (this.#waiting.length === 1) setImmediate(() => this.#run());
  }

  #run(): void {
    const actions = this.#waiting;
    this.#waiting = [];
    let done = 0;
    try {
      for (const action of actions) {
        done += 1;
        action();
      }
    } finally {
      // One that threw is reported as an uncaught exception; the others still get their turn.
      if (done < actions.length) {
        const hadNewer = this.#waiting.length > 0;
        this.#waiting = [...actions.slice(done), ...this.#waiting];
        if (!hadNewer) setImmediate(() => this.#run());
      }
    }
  }
}

class SystemTimer implements Timer {
  #timeout: NodeJS.Timeout;

  constructor(delayMs: number, action: () => void) {
    this.#timeout = this.#start(delayMs, action);
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #start(delayMs: number, action: () => void): NodeJS.Timeout {
    // What is overdue is due: Node warns of each process that asks for a time in the past.
    const step = Math.max(Math.min(delayMs, LONGEST_TIMEOUT_MS), 0);
    const next = () => {
      if (step < delayMs) this.#timeout = this.#start(delayMs - step, action);
      else action();
    };
    return setTimeout(next, step).unref();
  }
}
