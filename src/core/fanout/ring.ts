// The last events of a room, as the frames they went out in: what lagging and returning sessions are fed from.

import { RoomEventsFrame } from "./room-events-frame.js";

/** Events of one frame made for a returning session, in bytes at least: a frame is written to the socket in one go. */
const REPLAY_FRAME_BYTES = 64 * 1024;
/** Replay frames kept: sessions that come back together were cut at the same place. */
const MAX_REPLAYS = 8;

export class Ring {
  readonly #roomId: string;
  readonly #maxBytes: number;
  readonly #frames: RoomEventsFrame[] = [];
  #bytes = 0;
  /** Made for who comes back, by the seq that they had: there with the first. */
  #replays: Map<number, RoomEventsFrame> | undefined;

  constructor(roomId: string, maxBytes: number) {
    this.#roomId = roomId;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next frame. One that does not join on to what is held replaces it. */
  add(frame: RoomEventsFrame): void {
    const last = this.#frames.at(-1);
    if (last !== undefined && frame.firstSeq !== last.lastSeq + 1) this.clear();
    this.#replays = undefined;
    this.#frames.push(frame);
    this.#bytes += frame.bytes;
    while (this.#bytes > this.#maxBytes && this.#frames.length > 1) {
      this.#bytes -= this.#frames.shift()?.bytes ?? 0;
    }
  }

  /** A frame that begins right after `seq`; undefined: too old, or nothing is newer. */
  after(seq: number): RoomEventsFrame | undefined {
    const [oldest] = this.#frames;
    const newest = this.#frames.at(-1);
    if (oldest === undefined || newest === undefined || seq + 1 < oldest.firstSeq || seq >= newest.lastSeq)
      return undefined;
    const kept = this.#replays?.get(seq);
    if (kept !== undefined) return kept;
    const frame = this.#collect(seq);
    if (this.#replays === undefined || this.#replays.size >= MAX_REPLAYS) this.#replays = new Map();
    this.#replays.set(seq, frame);
    return frame;
  }

  clear(): void {
    this.#frames.length = 0;
    this.#replays = undefined;
    this.#bytes = 0;
  }

  #collect(seq: number): RoomEventsFrame {
    let low = 0;
    let high = this.#frames.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#frames[middle]?.lastSeq ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    const first = this.#frames[low];
    if (first === undefined) throw new RangeError(`no frame after seq ${seq}`);
    if (first.firstSeq === seq + 1 && (first.bytes >= REPLAY_FRAME_BYTES || low === this.#frames.length - 1))
      return first;
    const events = first.events.filter((event) => event.seq > seq);
    let bytes = first.bytes;
    for (let i = low + 1; i < this.#frames.length && bytes < REPLAY_FRAME_BYTES; i++) {
      const frame = this.#frames[i];
      if (frame === undefined) break;
      events.push(...frame.events);
      bytes += frame.bytes;
    }
    return new RoomEventsFrame(this.#roomId, events);
  }
}
