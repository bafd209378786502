// Time that stands still until a test lets it run: everything that waits, at clients, at servers and on the wires between them, waits here.

import type { Timer } from "../../../../bridge/client/platform.js";

interface Task extends Timer {
  readonly atMs: number;
  readonly action: () => void;
}

export class World {
  #nowMs = 0;
  readonly #tasks = new Set<Task>();

  get nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, action: () => void): Timer {
    const task: Task = { atMs: this.#nowMs + Math.max(ms, 0), action, cancel: () => this.#tasks.delete(task) };
    this.#tasks.add(task);
    return task;
  }

  /** Lets the time go on: what is due happens in its order, and what follows of it. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settled();
    for (let task = this.#next(untilMs); task !== undefined; task = this.#next(untilMs)) {
      this.#tasks.delete(task);
      this.#nowMs = task.atMs;
      task.action();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Task | undefined {
    let next: Task | undefined;
    for (const task of this.#tasks) {
      if (task.atMs <= untilMs && (next === undefined || task.atMs < next.atMs)) next = task;
    }
    return next;
  }
}

/** Promises have done what they can without time. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
