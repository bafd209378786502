// Appends that are on their way to the log for long: most come when another has opened their shard already, some before anybody has.

import type { MemoryEngine } from "../support/memory-engine.js";
import type { Chance } from "./chance.js";

/** How often one comes, per step: while nobody has opened its shard since, and once somebody has. */
const COMES_BEFORE = 0.1;
const COMES_AFTER = 0.4;

interface Late {
  readonly shard: number;
  /** The opening that it follows. */
  readonly epoch: number;
  readonly come: () => void;
}

export class LateAppends {
  readonly #engine: MemoryEngine;
  readonly #chance: Chance;
  #late: Late[] = [];

  constructor(engine: MemoryEngine, chance: Chance) {
    this.#engine = engine;
    this.#chance = chance;
  }

  /** Resolves when an append to the shard is to come. */
  hold(shard: number): Promise<void> {
    return new Promise((come) => this.#late.push({ shard, epoch: this.#epochOf(shard), come }));
  }

  /** Lets come what is to come in this step. */
  step(): void {
    const late = this.#late;
    this.#late = [];
    for (const each of late) {
      const isOvertaken = this.#epochOf(each.shard) !== each.epoch;
      if (this.#chance.of(isOvertaken ? COMES_AFTER : COMES_BEFORE)) each.come();
      else this.#late.push(each);
    }
  }

  /** Lets everything come. */
  all(): void {
    for (const { come } of this.#late.splice(0)) come();
  }

  #epochOf(shard: number): number {
    return this.#engine.state.shards[shard]?.epoch ?? 0;
  }
}
