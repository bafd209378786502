// A codec as the session port wants it: frames that can go to a socket as they are.

import type { FrameEncoding } from "../../src/core/session/port.js";
import type { Codec } from "../codec/codec.js";
import { binaryFrame, textFrame } from "./framing.js";

/** A codec and the encoding made of it; one per codec, shared by all connections. */
export interface Dialect {
  readonly codec: Codec;
  readonly encoding: FrameEncoding;
}

export function dialectOf(codec: Codec): Dialect {
  const name = `websocket ${codec.subprotocol}`;
  if (codec.wire === "text") {
    return {
      codec,
      encoding: {
        name,
        frame: (frame) => textFrame(codec.frame(frame)),
        roomEvents: (roomId, events) => textFrame(codec.roomEvents(roomId, events)),
      },
    };
  }
  return {
    codec,
    encoding: {
      name,
      frame: (frame) => binaryFrame(codec.frame(frame)),
      roomEvents: (roomId, events) => binaryFrame(codec.roomEvents(roomId, events)),
      ofProtobuf: binaryFrame,
    },
  };
}
