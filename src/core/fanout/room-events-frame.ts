// Events of one room as they go to its subscribers.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { FrameEncoding } from "../session/port.js";
import { SharedFrame } from "./shared-frame.js";

export class RoomEventsFrame extends SharedFrame {
  readonly roomId: string;
  readonly events: readonly EncodedEvent[];
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Bytes of the events as stored. */
  readonly bytes: number;

  /** `events` are dense and in order, at least one. */
  constructor(roomId: string, events: readonly EncodedEvent[]) {
    super();
    this.roomId = roomId;
    this.events = events;
    this.firstSeq = events[0]?.seq ?? 0;
    this.lastSeq = events.at(-1)?.seq ?? 0;
    let bytes = 0;
    for (const event of events) bytes += event.bytes.length;
    this.bytes = bytes;
  }

  protected encode(encoding: FrameEncoding): Uint8Array {
    return encoding.roomEvents(this.roomId, this.events);
  }
}
