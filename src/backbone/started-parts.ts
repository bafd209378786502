// What has been started, so that it can be stopped in the opposite order, whatever happens on the way.

/** Ends one part; `leftMs` is how long it may take. */
export type StopPart = (leftMs: number) => void | Promise<void>;

export class StartedParts {
  readonly #parts: { readonly name: string; readonly stop: StopPart }[] = [];
  readonly #onFault: (name: string, cause: unknown) => void;

  /** `onFault` is told when a part could not be stopped. */
  constructor(onFault: (name: string, cause: unknown) => void = () => {}) {
    this.#onFault = onFault;
  }

  add(name: string, stop: StopPart): void {
    this.#parts.push({ name, stop });
  }

  /**
   * Runs `first` and then stops the parts, last started first. What takes longer than is left of `deadlineMs` is no longer
   * waited for; every part is told to stop in any case. Never rejects.
   */
  async stop(deadlineMs: number, first: StopPart = () => {}): Promise<"drained" | "cut off"> {
    const deadline = performance.now() + deadlineMs;
    let outcome: "drained" | "cut off" = "drained";
    const steps = [{ name: "drain", stop: first }, ...this.#parts.splice(0).reverse()];
    for (const { name, stop } of steps) {
      const leftMs = Math.max(0, deadline - performance.now());
      const ended = await within(leftMs, () => stop(leftMs)).catch((cause: unknown) => {
        this.#onFault(name, cause);
        return true;
      });
      if (!ended) outcome = "cut off";
    }
    return outcome;
  }
}

/** A part that is cut off gets this to react, even when nothing is left: closing a store takes a few milliseconds. */
const LEAST_WAIT_MS = 250;

/** Whether the action ended in time. */
async function within(ms: number, action: () => void | Promise<void>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), Math.max(ms, LEAST_WAIT_MS));
  try {
    return await Promise.race([Promise.resolve(action()).then(() => true), promise]);
  } finally {
    clearTimeout(timer);
  }
}
