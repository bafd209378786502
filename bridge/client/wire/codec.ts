// How frames become bytes or text. Both encodings make the same of a frame: what proto3 JSON says (see gen/types.ts).

import type { ClientFrame, ServerFrame } from "../gen/types.js";

export interface Codec {
  /** What the WebSocket asks for. */
  readonly subprotocol: string;
  encode(frame: ClientFrame): string | Uint8Array<ArrayBuffer>;
  /** Throws where it is no frame of this encoding. A kind of frame that it does not know is an empty one. */
  decode(data: string | ArrayBuffer): ServerFrame;
}

export const jsonCodec: Codec = {
  subprotocol: "trunkline.v1.json",
  encode: (frame) => JSON.stringify(frame),
  decode(data) {
    const frame: unknown = typeof data === "string" ? JSON.parse(data) : undefined;
    if (typeof frame !== "object" || frame === null) throw new Error("no frame");
    return frame;
  },
};
