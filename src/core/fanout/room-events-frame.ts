// Events of one room as they go to its subscribers: encoded at most once per encoding, the same bytes for every session.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { FrameEncoding } from "../session/port.js";

export class RoomEventsFrame {
  readonly roomId: string;
  readonly events: readonly EncodedEvent[];
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Bytes of the events as stored. */
  readonly bytes: number;
  // Almost every room is read in one encoding: the last one is kept at hand, the others in a map.
  #encoding: FrameEncoding | undefined;
  #encoded: Uint8Array | undefined;
  #others: Map<FrameEncoding, Uint8Array> | undefined;

  /** `events` are dense and in order, at least one. */
  constructor(roomId: string, events: readonly EncodedEvent[]) {
    this.roomId = roomId;
    this.events = events;
    this.firstSeq = events[0]?.seq ?? 0;
    this.lastSeq = events.at(-1)?.seq ?? 0;
    let bytes = 0;
    for (const event of events) bytes += event.bytes.length;
    this.bytes = bytes;
  }

  in(encoding: FrameEncoding): Uint8Array {
    if (this.#encoding === encoding && this.#encoded !== undefined) return this.#encoded;
    let encoded = this.#others?.get(encoding);
    if (encoded === undefined) {
      encoded = encoding.roomEvents(this.roomId, this.events);
      this.#others ??= new Map();
      this.#others.set(encoding, encoded);
    }
    this.#encoding = encoding;
    this.#encoded = encoded;
    return encoded;
  }
}
