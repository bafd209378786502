// A frame that many sessions get: encoded at most once per encoding, the same bytes for every session.

import { EncodedFrame } from "../../ports/encoded-frame.js";
import { type Sight, withoutReading } from "../receipt/sight.js";
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
  #withoutReading: SignalFrame | undefined;

  constructor(frame: EncodedFrame) {
    super();
    this.#frame = frame;
  }

  /** Set where it tells the user whether their reading is hidden. */
  get hidesReading(): boolean | undefined {
    const { frame } = this.#frame.frame;
    return frame.case === "receiptPrivacy" ? frame.value.hidden : undefined;
  }

  /** What a reader of this sight gets of it; undefined: nothing. Made once for all of them. */
  seenWith(sight: Sight): SignalFrame | undefined {
    if (sight === "all" || this.#frame.frame.frame.case !== "markers") return this;
    if (sight === "nothing") return undefined;
    this.#withoutReading ??= new SignalFrame(EncodedFrame.of(withoutReading(this.#frame.frame)));
    return this.#withoutReading;
  }

  /** The room whose top it tells of; undefined: it tells of none. */
  get topOf(): string | undefined {
    const { frame } = this.#frame.frame;
    return frame.case === "signals" ? frame.value.top?.roomId : undefined;
  }

  protected encode(encoding: FrameEncoding): Uint8Array {
    return encoding.frame(this.#frame.frame);
  }
}
