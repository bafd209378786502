// Frames as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): each is the data of one event without a
// name. JSON has no line breaks, so one line of data is enough.

import type { FrameEncoding } from "../../src/core/session/port.js";
import type { TextCodec } from "../codec/codec.js";

/** Some proxies hold back what an answer begins with, until there are so many bytes of it. */
const PADDING_BYTES = 2 * 1024;

/** A codec's frames as events; one per codec, shared by all streams. */
export function eventEncoding(codec: TextCodec): FrameEncoding {
  return {
    name: `events ${codec.subprotocol}`,
    frame: (frame) => dataOf(codec.frame(frame)),
    roomEvents: (roomId, events) => dataOf(codec.roomEvents(roomId, events)),
  };
}

/** The first event of a stream: what the client shows with what it sends, and the longest body that is taken. */
export function sessionEvent(session: string, maxBytes: number): string {
  return `:${" ".repeat(PADDING_BYTES)}\nevent: session\ndata: ${JSON.stringify({ session, maxBytes })}\n\n`;
}

/** The last event of a stream that the server ends. */
export function endEvent(code: number, reason: string): string {
  return `event: end\ndata: ${JSON.stringify({ code, reason })}\n\n`;
}

function dataOf(json: string): Buffer {
  return Buffer.from(`data: ${json}\n\n`);
}
