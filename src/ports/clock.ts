// Time, injected, so that a test can stop it.

/** A scheduled call; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time in milliseconds since 1970: for people and for tokens' expiry. */
  now(): number;
  /** A time in milliseconds that never goes back: for deadlines and leases. */
  monotonic(): number;
  /** Calls `action` once, at least `delayMs` from now. Does not keep the process alive. */
  after(delayMs: number, action: () => void): Timer;
  /** Calls `action` once, when this turn's input has been handled: what many callers want done is then done in one go. */
  soon(action: () => void): void;
}
