// Everything a simulation leaves to chance comes from one seed.

import { type Random, seeded } from "../support/story/random.js";

export class Chance {
  readonly #next: Random;

  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  /** True so often, 0 to 1. */
  of(probability: number): boolean {
    return this.#next() < probability;
  }

  /** From 0 up to, but not including, `bound`. */
  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  /** Both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(items: readonly T[]): T {
    const [item] = items.slice(this.below(items.length));
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** By weight. */
  weighted<T extends { readonly weight: number }>(items: readonly T[]): T {
    let left = this.#next() * items.reduce((sum, { weight }) => sum + weight, 0);
    for (const item of items) {
      left -= item.weight;
      if (left < 0) return item;
    }
    return this.pick(items);
  }
}
