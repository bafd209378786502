// Order within a session: what a client asks of one room is begun in the order it was sent, even where a step must wait.

export class Lanes {
  /** Only rooms where something is being waited for; most sessions never have one. */
  #tails: Map<string, Promise<void>> | undefined;

  /**
   * Begins `step` at once if nothing of this lane is waited for, else after it. `step` returns a promise that settles when the next
   * may begin, or undefined: at once. `step` and its promise must not throw or reject.
   */
  run(lane: string, step: () => Promise<unknown> | undefined): void {
    const tail = this.#tails?.get(lane);
    if (tail !== undefined) {
      this.#hold(lane, tail.then(step));
      return;
    }
    const wait = step();
    if (wait !== undefined) this.#hold(lane, wait);
  }

  #hold(lane: string, wait: Promise<unknown>): void {
    const tail: Promise<void> = wait.then(() => {
      const tails = this.#tails;
      if (tails?.get(lane) !== tail) return;
      tails.delete(lane);
      if (tails.size === 0) this.#tails = undefined;
    });
    this.#tails ??= new Map();
    this.#tails.set(lane, tail);
  }
}
