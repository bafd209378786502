// From the bytes of one gRPC message to a client frame, or to what the session is told instead.

import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type ClientFrame, ClientFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { READ_REQUEST } from "../../rpc/definition.js";

/** Bytes that are no valid frame: the arguments of `Connection.malformed`. */
export class RefusedFrame {
  readonly error: TrunklineError;
  /** Not even the envelope could be read, or was read. */
  readonly undecodable: boolean;
  /** The frame's `ref`, where it could be read. */
  readonly ref: number | undefined;

  constructor(error: TrunklineError, undecodable: boolean, ref: number | undefined) {
    this.error = error;
    this.undecodable = undecodable;
    this.ref = ref;
  }
}

/**
 * Never throws: grpc-js would end the stream with a status of its own. `bytes` fields of the frame alias the input, which is
 * this message's alone.
 */
export function decodeFrame(bytes: Uint8Array, maxFrameBytes: number): ClientFrame | RefusedFrame {
  if (bytes.length > maxFrameBytes) {
    // The session says so and ends, as on a transport that cannot even receive such a frame.
    return new RefusedFrame(TrunklineError.tooLarge("frame", maxFrameBytes), true, readEnvelope(bytes)?.ref);
  }
  try {
    return fromBinary(ClientFrameSchema, bytes, READ_REQUEST);
  } catch (cause) {
    const envelope = readEnvelope(bytes);
    const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, "frame: not a valid ClientFrame", {
      field: "frame",
      cause,
    });
    return new RefusedFrame(error, envelope === undefined, envelope?.ref);
  }
}

/** Walks over the frame's own fields without looking into them. Undefined: they are broken. */
function readEnvelope(bytes: Uint8Array): { readonly ref: number | undefined } | undefined {
  const reader = new BinaryReader(bytes);
  let ref: number | undefined;
  try {
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === ClientFrameSchema.field.ref.number && wireType === WireType.Varint) ref = reader.uint32();
      else reader.skip(wireType, field);
    }
    return { ref };
  } catch {
    return undefined;
  }
}
