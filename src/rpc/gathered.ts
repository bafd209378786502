// Messages of a stream that share frames: what is said in one turn goes in one write. A frame costs both ends some ten microseconds, whatever is in it.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Clock } from "../ports/clock.js";

/** A frame takes no further message beyond this, in bytes: who reads it is not held up for longer. */
const MAX_FRAME_BYTES = 256 * 1024;
/** The number of the repeated field that the messages are in. */
const MESSAGES_FIELD = 1;

export class Gathered {
  readonly #clock: Pick<Clock, "soon">;
  readonly #write: (frame: Uint8Array) => void;
  #frame = new BinaryWriter();
  #bytes = 0;
  #asked = false;
  #ended = false;

  /** `write` takes frames: messages whose first field, repeated, holds what was added. Called in the order of `add`, never after `end`. */
  constructor(clock: Pick<Clock, "soon">, write: (frame: Uint8Array) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  /** `message` is encoded already. */
  add(message: Uint8Array): void {
    if (this.#ended) return;
    if (this.#bytes > 0 && this.#bytes + message.length > MAX_FRAME_BYTES) this.flush();
    this.#frame.tag(MESSAGES_FIELD, WireType.LengthDelimited).bytes(message);
    this.#bytes += message.length;
    if (this.#asked) return;
    this.#asked = true;
    this.#clock.soon(() => {
      this.#asked = false;
      this.flush();
    });
  }

  /** Writes nothing any more; what was not written is dropped. */
  end(): void {
    this.#ended = true;
    this.#frame = new BinaryWriter();
    this.#bytes = 0;
  }

  /** Writes what was added, without waiting for the turn's end. */
  flush(): void {
    if (this.#bytes === 0) return;
    const frame = this.#frame.finish();
    this.#frame = new BinaryWriter();
    this.#bytes = 0;
    this.#write(frame);
  }
}
