// A store in a directory of its own that is gone after the test.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { EmbeddedStore, type EmbeddedStoreOptions } from "../../../src/adapters/embedded/lmdb.js";
import type { Clock, Timer } from "../../../src/ports/clock.js";

/** Time that goes only when told to. */
export class StoppedClock implements Clock {
  nowMs = 0;
  #timers: { readonly dueMs: number; readonly action: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  monotonic(): number {
    return this.nowMs;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { dueMs: this.nowMs + delayMs, action };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((each) => each !== timer);
      },
    };
  }

  soon(action: () => void): void {
    setImmediate(action);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Lets time pass, and calls what is due. */
  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { action } of due) action();
  }
}

export async function makeDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "trunkline-embedded-"));
}

export async function useDirectory(): Promise<string> {
  const directory = await makeDirectory();
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function useStore(options: Partial<EmbeddedStoreOptions> = {}): Promise<EmbeddedStore> {
  const directory = options.directory ?? (await useDirectory());
  const store = await EmbeddedStore.open({ clock: new StoppedClock(), shards: 4, ...options, directory });
  onTestFinished(() => store.close());
  return store;
}
