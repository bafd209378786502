// `trunkline.v1.binary`: one message is one protobuf frame.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeRoomEventsFrame } from "../../src/core/fanout/wire.js";
import { ClientFrameSchema, ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { type BinaryCodec, type Decoded, MAX_DEPTH } from "./codec.js";

// Unknown fields are dropped: the server would neither look at them nor send them on.
const READ = { readUnknownFields: false, recursionLimit: MAX_DEPTH } as const;

export const binaryCodec: BinaryCodec = {
  subprotocol: "trunkline.v1.binary",
  wire: "binary",
  decode,
  frame: (frame) => toBinary(ServerFrameSchema, frame),
  roomEvents: encodeRoomEventsFrame,
};

function decode(message: Uint8Array): Decoded {
  try {
    // `bytes` fields are views into what is decoded, and the transport reuses its buffers: hence the copy.
    return { ok: true, frame: fromBinary(ClientFrameSchema, new Uint8Array(message), READ) };
  } catch (cause) {
    const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, "frame: not a protobuf ClientFrame", {
      field: "frame",
      cause,
    });
    return { ok: false, error, undecodable: true, ref: 0 };
  }
}
