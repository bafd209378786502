// A frame as it came over the link: made ready for each kind of wire at most once, however many clients get it.

import { fromBinary } from "@bufbuild/protobuf";
import { SharedFrame } from "../../src/core/fanout/shared-frame.js";
import type { FrameEncoding } from "../../src/core/session/port.js";
import { ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";

export class LinkedFrame extends SharedFrame {
  readonly #bytes: Uint8Array;

  /** `bytes`: a ServerFrame as protobuf. */
  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Throws where an encoding has to look into bytes that are no ServerFrame. */
  protected encode(encoding: FrameEncoding): Uint8Array {
    return encoding.ofProtobuf?.(this.#bytes) ?? encoding.frame(fromBinary(ServerFrameSchema, this.#bytes));
  }
}
