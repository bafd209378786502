// Finds the events in an encoded ServerFrame without decoding it: a thousand receivers decoding each message in full would be
// the slowest part of the measurement.
//
// Protobuf as documented at https://protobuf.dev/programming-guides/encoding/: a tag is (field number << 3) | wire type.

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** ServerFrame.room_events = 12 */
const ROOM_EVENTS_TAG = (12 << 3) | LENGTH_DELIMITED;
/** RoomEvents.room_id = 1 */
const ROOM_ID_TAG = (1 << 3) | LENGTH_DELIMITED;
/** RoomEvents.events = 2, and RoomEvent.position = 2 */
const SECOND_FIELD_TAG = (2 << 3) | LENGTH_DELIMITED;
/** Position.seq = 1 */
const SEQ_TAG = (1 << 3) | VARINT;

/** Walks frames, one after the other, and says of each which events it holds. One instance serves all connections. */
export class EventWalker {
  /** seq of the frame's first event. */
  first = 0;
  /** How many events the frame holds. */
  count = 0;
  /** Whether each event's seq was one more than that of the one before. */
  dense = true;
  /** Where the first event starts in the buffer. */
  firstAt = 0;
  /** Where the room's id starts in the buffer. */
  roomAt = 0;

  #at = 0;

  /** Reads one frame. Returns false when it holds no RoomEvents: then nothing else is set. */
  walk(buffer: Buffer, start: number, end: number): boolean {
    if ((buffer[start] ?? 0) !== ROOM_EVENTS_TAG) return false;
    this.first = 0;
    this.count = 0;
    this.dense = true;
    this.#at = start;
    // Concatenated frames are one frame to protobuf: repeated fields add up.
    while (this.#at < end) {
      const tag = this.#varint(buffer);
      if (tag === ROOM_EVENTS_TAG) this.#roomEvents(buffer, this.#varint(buffer) + this.#at);
      else this.#skip(buffer, tag);
    }
    if (this.#at !== end) throw new Error("a frame ends inside a field");
    return true;
  }

  #roomEvents(buffer: Buffer, end: number): void {
    while (this.#at < end) {
      const tag = this.#varint(buffer);
      if (tag !== SECOND_FIELD_TAG) {
        const at = this.#at;
        this.#skip(buffer, tag);
        // Ids of rooms are shorter than what would need a second byte of length.
        if (tag === ROOM_ID_TAG) this.roomAt = at + 1;
        continue;
      }
      const length = this.#varint(buffer);
      const eventAt = this.#at;
      const seq = this.#seqOfEvent(buffer, eventAt + length);
      this.#at = eventAt + length;
      if (this.count === 0) {
        this.first = seq;
        this.firstAt = eventAt;
      } else if (seq !== this.first + this.count) this.dense = false;
      this.count++;
    }
  }

  #seqOfEvent(buffer: Buffer, end: number): number {
    while (this.#at < end) {
      const tag = this.#varint(buffer);
      if (tag === SECOND_FIELD_TAG) {
        this.#varint(buffer);
        if (this.#varint(buffer) === SEQ_TAG) return this.#varint(buffer);
        break;
      }
      this.#skip(buffer, tag);
    }
    throw new Error("an event has no position");
  }

  #skip(buffer: Buffer, tag: number): void {
    const type = tag & 7;
    if (type === VARINT) this.#varint(buffer);
    else if (type === LENGTH_DELIMITED) {
      const length = this.#varint(buffer);
      this.#at += length;
    } else if (type === FIXED64) this.#at += 8;
    else if (type === FIXED32) this.#at += 4;
    else throw new Error(`wire type ${type} in a frame`);
  }

  #varint(buffer: Buffer): number {
    let byte = buffer[this.#at++] ?? 0;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    do {
      byte = buffer[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    return value;
  }
}
