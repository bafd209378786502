// A circuit breaker: after repeated failures nobody waits for a service that is away; one probe at a time finds it back.

import type { Clock } from "../../ports/clock.js";

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  /** Failures in a row that open it. */
  readonly failures: number;
  /** From opening to the first probe, in milliseconds; doubles with each probe that fails. */
  readonly firstDelayMs: number;
  /** The longest delay between probes, in milliseconds. */
  readonly maxDelayMs: number;
  readonly onChange?: (open: boolean) => void;
}

type State =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly until: number; readonly delayMs: number }
  /** One call is under way; what it says decides. */
  | { readonly kind: "probing"; readonly probe: Permit; readonly delayMs: number };

/** Leave to make one call; its holder says once how the call went. */
export interface Permit {
  succeeded(): void;
  failed(): void;
  /** The call said nothing about the service's health. */
  abandoned(): void;
}

export type Admission =
  | { readonly admitted: true; readonly permit: Permit }
  | { readonly admitted: false; readonly retryAfterMs: number };

const CLOSED: State = { kind: "closed", failures: 0 };

export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #state: State = CLOSED;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  /** Whether a call now would be refused. False once a probe is due: somebody has to make it. */
  get refusing(): boolean {
    const state = this.#state;
    return state.kind === "probing" || (state.kind === "open" && state.until > this.#options.clock.monotonic());
  }

  admit(): Admission {
    const permit = this.#permit();
    switch (this.#state.kind) {
      case "closed":
        return { admitted: true, permit };
      case "probing":
        return { admitted: false, retryAfterMs: this.#state.delayMs };
      case "open": {
        const left = this.#state.until - this.#options.clock.monotonic();
        if (left > 0) return { admitted: false, retryAfterMs: Math.ceil(left) };
        this.#state = { kind: "probing", probe: permit, delayMs: this.#state.delayMs };
        return { admitted: true, permit };
      }
    }
  }

  #permit(): Permit {
    const permit: Permit = {
      // Also from a call that began before it opened: the service is there.
      succeeded: () => this.#close(),
      failed: () => this.#fail(permit),
      abandoned: () => this.#abandon(permit),
    };
    return permit;
  }

  #close(): void {
    const wasOpen = this.#state.kind !== "closed";
    this.#state = CLOSED;
    if (wasOpen) this.#options.onChange?.(false);
  }

  #fail(permit: Permit): void {
    const state = this.#state;
    if (state.kind === "closed") {
      const failures = state.failures + 1;
      if (failures < this.#options.failures) this.#state = { kind: "closed", failures };
      else this.#open(this.#options.firstDelayMs);
    } else if (state.kind === "probing" && state.probe === permit) {
      this.#open(Math.min(state.delayMs * 2, this.#options.maxDelayMs));
    }
  }

  /** A probe that told nothing makes room for the next one at once. */
  #abandon(permit: Permit): void {
    const state = this.#state;
    if (state.kind !== "probing" || state.probe !== permit) return;
    this.#state = { kind: "open", until: this.#options.clock.monotonic(), delayMs: state.delayMs };
  }

  #open(delayMs: number): void {
    const wasOpen = this.#state.kind !== "closed";
    this.#state = { kind: "open", until: this.#options.clock.monotonic() + delayMs, delayMs };
    if (!wasOpen) this.#options.onChange?.(true);
  }
}
