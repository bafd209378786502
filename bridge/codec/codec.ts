// What a codec does: frames to and from one wire format. It knows no socket and no Node module, so it runs in a browser too.

import type { ClientFrame, ServerFrame } from "../../src/gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { TrunklineError } from "../../src/ports/error.js";

/** How deep messages, objects and lists may nest in a client's frame: nothing the contract defines comes near it. */
export const MAX_DEPTH = 32;

/** What became of a client's bytes. */
export type Decoded =
  | { readonly ok: true; readonly frame: ClientFrame }
  | {
      readonly ok: false;
      readonly error: TrunklineError;
      /** Not even the envelope could be read. */
      readonly undecodable: boolean;
      /** The frame's `ref`; 0: none, or it could not be read. */
      readonly ref: number;
    };

interface Format<Wire> {
  /** The WebSocket subprotocol that selects it. */
  readonly subprotocol: string;
  /** A client's frame. Never throws; keeps nothing of its input. */
  decode(message: Wire): Decoded;
  /** One frame of the server. */
  frame(frame: ServerFrame): Wire;
  /** `RoomEvents` of one room. */
  roomEvents(roomId: string, events: readonly EncodedEvent[]): Wire;
}

/** Frames as WebSocket binary messages. */
export interface BinaryCodec extends Format<Uint8Array> {
  readonly wire: "binary";
}

/** Frames as WebSocket text messages. */
export interface TextCodec extends Format<string> {
  readonly wire: "text";
}

export type Codec = BinaryCodec | TextCodec;
