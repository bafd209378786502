// Lines on their way to a file descriptor, past whoever reads them: a reader that is slow or gone holds nothing up.
// Not the destination that comes with pino: that one, flushed, waits for ever for a reader that has gone.

import { write, writeSync } from "node:fs";

/** A reader that takes nothing is tried again after so long, in milliseconds. */
const AGAIN_MS = 20;
/** How long a flush waits for a reader that takes nothing, in milliseconds. */
const FLUSH_PATIENCE_MS = 500;
/** Written at once, in bytes: far more gives nothing, and a flush has to wait for what is under way. */
const LONGEST_WRITE_BYTES = 64 * 1024;

export class LineOutput {
  readonly #descriptor: number;
  readonly #longestBacklogBytes: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #busy = false;
  /** What the reader would not take just now. */
  #refused: { readonly bytes: Buffer; readonly again: NodeJS.Timeout } | undefined;

  /** Lines that would make what is not taken longer than this, in bytes, are dropped rather than held in memory. */
  constructor(descriptor: number, longestBacklogBytes: number) {
    this.#descriptor = descriptor;
    this.#longestBacklogBytes = longestBacklogBytes;
  }

  /** Takes a line with its end. Never throws: what cannot be written is dropped, and nobody could be told. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > this.#longestBacklogBytes) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#busy) this.#next();
  }

  /** Writes what waits before it returns, as far as a reader takes it within half a second. Never throws. */
  flush(): void {
    const deadline = performance.now() + FLUSH_PATIENCE_MS;
    let rest = Buffer.concat([this.#takeRefused(), this.#take(Number.POSITIVE_INFINITY)]);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.#descriptor, rest));
      } catch (error) {
        if (!isFull(error) || performance.now() > deadline) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AGAIN_MS);
      }
    }
  }

  #next(): void {
    const bytes = this.#take(LONGEST_WRITE_BYTES);
    this.#busy = bytes.length > 0;
    if (this.#busy) this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    write(this.#descriptor, bytes, (error, written) => {
      if (isFull(error)) this.#refused = { bytes, again: setTimeout(() => this.#write(this.#takeRefused()), AGAIN_MS) };
      else if (error === null && written < bytes.length) this.#write(bytes.subarray(written));
      else this.#next();
    });
  }

  #takeRefused(): Buffer {
    const { bytes, again } = this.#refused ?? { bytes: Buffer.alloc(0), again: undefined };
    clearTimeout(again);
    this.#refused = undefined;
    this.#busy = bytes.length > 0;
    return bytes;
  }

  /** The first lines that wait, of about so many bytes: one at least, where one waits. */
  #take(mostBytes: number): Buffer {
    let [count, bytes] = [0, 0];
    for (const line of this.#waiting) {
      if (count > 0 && bytes + line.length > mostBytes) break;
      count += 1;
      bytes += line.length;
    }
    this.#waitingBytes -= bytes;
    return Buffer.concat(this.#waiting.splice(0, count), bytes);
  }
}

/** The reader has not taken what it has been given before. */
function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EBUSY");
}
