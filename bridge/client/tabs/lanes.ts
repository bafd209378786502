// What several tabs ask of one connection: as much at a time as the server takes, one tab after the other.

/** Does what was asked. What it returns is under way until it settles; undefined: nothing is. */
export type Ask = () => Promise<unknown> | undefined;

/** Of one tab, at most: a tab is told how many may be under way, and does not come near it. */
const MAX_WAITING = 5_000;

export class Lanes<Tab> {
  readonly #lanes = new Map<Tab, Ask[]>();
  #most = 1;
  #underWay = 0;
  /** Tells those that belong to a connection before from these. */
  #epoch = 0;

  /** Another connection: nothing is under way, and nothing waits. Some of what the server takes is left to what nobody waits for. */
  restart(maxInFlight: number): void {
    this.#epoch++;
    this.#lanes.clear();
    this.#underWay = 0;
    this.#most = Math.max(maxInFlight - Math.floor(maxInFlight / 8), 1);
  }

  /** Returns false where too much of the tab waits. */
  add(tab: Tab, ask: Ask): boolean {
    const lane = this.#lanes.get(tab) ?? [];
    if (lane.length >= MAX_WAITING) return false;
    lane.push(ask);
    this.#lanes.set(tab, lane);
    this.#pump();
    return true;
  }

  left(tab: Tab): void {
    this.#lanes.delete(tab);
  }

  #pump(): void {
    while (this.#underWay < this.#most) {
      const [first] = this.#lanes;
      if (first === undefined) return;
      const [tab, lane] = first;
      // To the end, if it has more: the others come first.
      this.#lanes.delete(tab);
      const ask = lane.shift();
      if (lane.length > 0) this.#lanes.set(tab, lane);
      const asked = ask?.();
      if (asked === undefined) continue;
      const epoch = this.#epoch;
      this.#underWay++;
      const over = (): void => {
        if (epoch !== this.#epoch) return;
        this.#underWay--;
        this.#pump();
      };
      asked.then(over, over);
    }
  }
}
