// Where the token of the tabs' one connection comes from: one of them after the other, or one that is about to come.

import type { Platform } from "../platform.js";
import { codeFor } from "../session/verdict.js";
import type { Seat } from "./seat.js";

/** For a tab that may give a token to come. */
const TAB_DEADLINE_MS = 15_000;
/** For another one to come, after those that are there had none. */
const OTHERS_DEADLINE_MS = 2_000;

export class Givers {
  readonly #platform: Pick<Platform, "after">;
  readonly #seats: ReadonlySet<Seat>;
  readonly #refuse: (seat: Seat, code: number) => void;
  /** Resolves with whether a tab has come. */
  #coming = Promise.withResolvers<boolean>();
  /** Who has given the last. */
  last: Seat | undefined;

  /** @param refuse Sends a tab away that says that it has none. */
  constructor(platform: Pick<Platform, "after">, seats: ReadonlySet<Seat>, refuse: (seat: Seat, code: number) => void) {
    this.#platform = platform;
    this.#seats = seats;
    this.#refuse = refuse;
  }

  /** A tab has said hello. */
  came(): void {
    this.#coming.resolve(true);
    this.#coming = Promise.withResolvers();
  }

  /** No tab will come any more. */
  end(): void {
    this.#coming.resolve(false);
  }

  /** Beginning with the tab that holds the hub. Undefined: there is no tab. Rejects where none could give one. */
  async token(fresh: boolean): Promise<string | undefined> {
    const asked = new Set<Seat>();
    for (;;) {
      const left = [...this.#seats].filter((seat) => seat.hello !== undefined && !asked.has(seat));
      const seat = left.find(({ frames }) => frames !== undefined) ?? left[0];
      if (seat === undefined) {
        if (await this.#comes(asked.size === 0 ? TAB_DEADLINE_MS : OTHERS_DEADLINE_MS)) continue;
        if (this.#seats.size === 0) return undefined;
        throw new Error("no token");
      }
      asked.add(seat);
      try {
        const token = await seat.token(fresh);
        if (token !== undefined) {
          this.last = seat;
          return token;
        }
        this.#refuse(seat, codeFor("unauthenticated"));
      } catch {
        // The next may have one.
      }
    }
  }

  #comes(deadlineMs: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = this.#platform.after(deadlineMs, () => late.resolve(false));
    return Promise.race([this.#coming.promise, late.promise]).finally(() => timer.cancel());
  }
}
