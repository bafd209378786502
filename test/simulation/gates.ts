// Answers that are held back, and let go in an order that chance decides.

import type { Chance } from "./chance.js";

export class Gates {
  readonly #chance: Chance;
  #held: (() => void)[] = [];

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Resolves when it is let go; never after `forget`. */
  hold(): Promise<void> {
    return new Promise((resolve) => this.#held.push(resolve));
  }

  /** Lets one go. */
  openOne(): void {
    this.#held.splice(this.#chance.below(this.#held.length), 1)[0]?.();
  }

  openAll(): void {
    while (this.#held.length > 0) this.openOne();
  }

  /** The process that waited is dead. */
  forget(): void {
    this.#held = [];
  }
}
