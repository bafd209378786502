// Requests of all sessions that have no answer yet: what a leaving node waits for.

export class Requests {
  #open = 0;
  #waiting: (() => void)[] = [];

  enter(): void {
    this.#open++;
  }

  leave(): void {
    this.#open--;
    if (this.#open > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when none is open. */
  idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
