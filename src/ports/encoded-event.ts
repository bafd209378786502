// A durable event with the bytes it was stored as: encoded once by the room's owner, never again.

import { fromBinary } from "@bufbuild/protobuf";
import { type RoomEvent, RoomEventSchema } from "../gen/trunkline/v1/message_pb.js";

export class EncodedEvent {
  readonly seq: number;
  readonly tag: number;
  /** The event as protobuf. */
  readonly bytes: Uint8Array;
  #event: RoomEvent | undefined;

  constructor(seq: number, tag: number, bytes: Uint8Array, event?: RoomEvent) {
    this.seq = seq;
    this.tag = tag;
    this.bytes = bytes;
    this.#event = event;
  }

  /** The decoded event; decoded at most once. Do not change it. */
  get event(): RoomEvent {
    this.#event ??= fromBinary(RoomEventSchema, this.bytes);
    return this.#event;
  }

  /** From stored bytes, which must be the caller's own copy. */
  static decode(bytes: Uint8Array): EncodedEvent {
    const event = fromBinary(RoomEventSchema, bytes);
    return new EncodedEvent(event.position?.seq ?? 0, event.position?.tag ?? 0, bytes, event);
  }
}
