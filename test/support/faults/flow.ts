// One direction of a connection through a proxy: what was read and may not go on yet waits here, in order.

import type { Socket } from "node:net";

/** Read and not passed on, in bytes: beyond it the sender waits, as it would for a network. */
const MOST_WAITING_BYTES = 1024 * 1024;

interface Waiting {
  /** Undefined: the sender has ended, and so shall the other side. */
  readonly bytes: Buffer | undefined;
  /** By the monotonic clock. */
  readonly due: number;
}

export interface FlowOptions {
  readonly from: Socket;
  readonly to: Socket;
  /** Sees what comes, before it waits for anything. */
  readonly onBytes: (bytes: Buffer) => void;
  /** The sender's connection is gone, and all that it had sent is passed on. */
  readonly onGone: () => void;
}

export class Flow {
  readonly #options: FlowOptions;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #delayMs = 0;
  #held = false;
  #stopped = false;
  #gone = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FlowOptions) {
    this.#options = options;
    const { from, to } = options;
    from.on("data", (bytes) => this.#came(bytes));
    from.on("end", () => this.#wait(undefined));
    from.on("close", () => {
      this.#gone = true;
      this.#pass();
    });
    to.on("drain", () => this.#pass());
  }

  /** What comes from now on waits for so long, in milliseconds. */
  set delayMs(delayMs: number) {
    this.#delayMs = delayMs;
  }

  /** Nothing passes, and nothing is lost. */
  set held(held: boolean) {
    this.#held = held;
    this.#pass();
  }

  /** Its connection has ended: nothing passes any more. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    clearTimeout(this.#timer);
  }

  #came(bytes: Buffer): void {
    this.#options.onBytes(bytes);
    this.#wait(bytes);
  }

  #wait(bytes: Buffer | undefined): void {
    if (this.#stopped) return;
    this.#waiting.push({ bytes, due: performance.now() + this.#delayMs });
    this.#waitingBytes += bytes?.length ?? 0;
    this.#pass();
    if (this.#waitingBytes > MOST_WAITING_BYTES) this.#options.from.pause();
  }

  #pass(): void {
    clearTimeout(this.#timer);
    if (this.#held || this.#stopped) return;
    const { from, to, onGone } = this.#options;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const early = next.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.#pass(), Math.ceil(early));
        return;
      }
      if (to.writableNeedDrain) return;
      this.#waiting.shift();
      if (next.bytes === undefined) to.end();
      else {
        this.#waitingBytes -= next.bytes.length;
        to.write(next.bytes);
      }
    }
    if (from.isPaused()) from.resume();
    if (this.#gone) onGone();
  }
}
