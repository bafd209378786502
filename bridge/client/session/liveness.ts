// Whether somebody is at the other end of a connection: what is heard says so, and what is not heard for too long says that nobody is.

import type { Platform, Timer } from "../platform.js";

/** From dialling to Welcome. */
const HANDSHAKE_DEADLINE_MS = 10_000;
/** How much later than a ping was due the connection counts as dead. */
const SILENCE_GRACE_MS = 10_000;
const DEFAULT_PING_INTERVAL_MS = 25_000;
/** How long a connection may take to show that it is alive after the page was shown again. */
const PROOF_DEADLINE_MS = 5_000;
/** From the server's goodbye to the end that follows it. */
const GOODBYE_DEADLINE_MS = 5_000;

export class Liveness {
  readonly #platform: Pick<Platform, "monotonic" | "after">;
  readonly #dead: () => void;
  #heardAtMs: number;
  #timer: Timer;
  #proof: Timer | undefined;
  #leaving = false;

  /** Of a connection that is being opened. */
  constructor(platform: Pick<Platform, "monotonic" | "after">, dead: () => void) {
    this.#platform = platform;
    this.#dead = dead;
    this.#heardAtMs = platform.monotonic();
    this.#timer = platform.after(HANDSHAKE_DEADLINE_MS, dead);
  }

  heard(): void {
    this.#heardAtMs = this.#platform.monotonic();
  }

  /** From now on something is heard at least so often. */
  welcomed(pingIntervalMs = DEFAULT_PING_INTERVAL_MS): void {
    if (!this.#leaving) this.#watch(pingIntervalMs + SILENCE_GRACE_MS, pingIntervalMs + SILENCE_GRACE_MS);
  }

  /** The server is about to end it. */
  leaving(): void {
    this.#leaving = true;
    this.#timer.cancel();
    this.#timer = this.#platform.after(GOODBYE_DEADLINE_MS, this.#dead);
  }

  /** The page was away, or the network: something is to be heard soon. Returns false where that is awaited already. */
  prove(): boolean {
    if (this.#proof !== undefined) return false;
    const askedAtMs = this.#platform.monotonic();
    this.#proof = this.#platform.after(PROOF_DEADLINE_MS, () => {
      this.#proof = undefined;
      if (this.#heardAtMs < askedAtMs) this.#dead();
    });
    return true;
  }

  end(): void {
    this.#timer.cancel();
    this.#proof?.cancel();
  }

  /** Looked at when the time is over, not moved with each frame. */
  #watch(inMs: number, quietMs: number): void {
    this.#timer.cancel();
    this.#timer = this.#platform.after(inMs, () => {
      const leftMs = this.#heardAtMs + quietMs - this.#platform.monotonic();
      if (leftMs > 0) this.#watch(leftMs, quietMs);
      else this.#dead();
    });
  }
}
