// What Redis is told that nobody waits for.

/** Sessions of which Redis can be told later; of those beyond, what it has is gone with the node. */
const MOST_UNTOLD = 100_000;

export class Telling {
  readonly #onFault: (cause: unknown) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Of sessions, what Redis did not take. */
  readonly #untold = new Map<string, () => Promise<unknown>>();
  #stopped = false;

  constructor(onFault: (cause: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Begun at once: commands are done in the order of the calls. */
  does(work: () => Promise<unknown>): void {
    const done = work().catch(this.#onFault);
    this.#underWay.add(done);
    void done.finally(() => this.#underWay.delete(done));
  }

  /** Something about a session, which `again` repeats later where Redis does not take it. */
  tells(sessionId: string, work: () => Promise<unknown>, again = work): void {
    this.does(async () => {
      try {
        await work();
      } catch (cause) {
        this.#onFault(cause);
        // What was told last of it counts.
        this.#untold.delete(sessionId);
        if (this.#untold.size < MOST_UNTOLD && !this.#stopped) this.#untold.set(sessionId, again);
      }
    });
  }

  /** Repeats what Redis did not take. */
  tellAgain(): void {
    const untold = [...this.#untold];
    this.#untold.clear();
    for (const [sessionId, again] of untold) this.tells(sessionId, again);
  }

  /** Repeats nothing more; resolves when what was begun is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled([...this.#underWay]);
  }
}
