// An ephemeral frame for many sessions, with its bytes as protobuf: encoded once by whoever says it.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ServerFrame, ServerFrameSchema } from "../gen/trunkline/v1/session_pb.js";

export class EncodedFrame {
  /** The frame as protobuf. */
  readonly bytes: Uint8Array;
  #frame: ServerFrame | undefined;

  constructor(bytes: Uint8Array, frame?: ServerFrame) {
    this.bytes = bytes;
    this.#frame = frame;
  }

  static of(frame: ServerFrame): EncodedFrame {
    return new EncodedFrame(toBinary(ServerFrameSchema, frame), frame);
  }

  /** The decoded frame; decoded at most once. Do not change it. */
  get frame(): ServerFrame {
    this.#frame ??= fromBinary(ServerFrameSchema, this.bytes);
    return this.#frame;
  }
}
