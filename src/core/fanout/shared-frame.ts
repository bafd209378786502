// A frame that many sessions get: encoded at most once per encoding, the same bytes for every session.

import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { FrameEncoding } from "../session/port.js";

export abstract class SharedFrame {
  // Almost every room is read in one encoding: the last one is kept at hand, the others in a map.
  #encoding: FrameEncoding | undefined;
  #encoded: Uint8Array | undefined;
  #others: Map<FrameEncoding, Uint8Array> | undefined;

  in(encoding: FrameEncoding): Uint8Array {
    if (this.#encoding === encoding && this.#encoded !== undefined) return this.#encoded;
    let encoded = this.#others?.get(encoding);
    if (encoded === undefined) {
      encoded = this.encode(encoding);
      this.#others ??= new Map();
      this.#others.set(encoding, encoded);
    }
    this.#encoding = encoding;
    this.#encoded = encoded;
    return encoded;
  }

  protected abstract encode(encoding: FrameEncoding): Uint8Array;
}

/** Something ephemeral. */
export class SignalFrame extends SharedFrame {
  readonly #frame: EncodedFrame;

  constructor(frame: EncodedFrame) {
    super();
    this.#frame = frame;
  }

  protected encode(encoding: FrameEncoding): Uint8Array {
    return encoding.frame(this.#frame.frame);
  }
}
