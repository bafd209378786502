// Publishing at ten thousand messages a second: frames are encoded once per slot, and only their numbers change.

import { create } from "@bufbuild/protobuf";
import { PublishSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { findMarker, messageText, setNumber, writeDigits } from "../wire/message-text.js";
import { clientFrame, type Wire } from "./wire.js";

/** ServerFrame.reply_to = 1 and ServerFrame.published = 6, as their tags' bytes. */
const REPLY_TO_TAG = 1 << 3;
const PUBLISHED_TAG = (6 << 3) | 2;
const KEY_DIGITS = 12;
/** The ref of slot 0. Refs below are for other requests of the session. */
export const FIRST_REF = 1_000_000;

/** One publish at a time to one room: its next frame may be made once the last was answered. */
export interface PublishSlot {
  /** The frame for message `n`, with a key made from `n`; valid until the next call. */
  frame(n: number): Buffer;
}

/** The slot with index `slot`; its answers carry the ref that `answeredSlot` turns back into the index. */
export function createPublishSlot(wire: Wire, slot: number, roomId: string, keyPrefix: string): PublishSlot {
  const key = keyPrefix + "0".repeat(KEY_DIGITS);
  const bytes = wire.encode(
    clientFrame(FIRST_REF + slot, {
      case: "publish",
      value: create(PublishSchema, {
        roomId,
        clientMessageId: key,
        attempt: 1,
        body: { kind: { case: "text", value: messageText(0) } },
      }),
    }),
  );
  const keyAt = bytes.indexOf(key) + keyPrefix.length;
  const textAt = findMarker(bytes, 0, bytes.length);
  return {
    frame(n) {
      writeDigits(bytes, keyAt, KEY_DIGITS, n);
      setNumber(bytes, textAt, n);
      return bytes;
    },
  };
}

/** The slot that a frame answers with Published; −1: it is another frame. */
export function answeredSlot(buffer: Buffer, start: number, end: number): number {
  if (buffer[start] !== REPLY_TO_TAG) return -1;
  let at = start + 1;
  let ref = 0;
  let scale = 1;
  let byte = 0x80;
  while (byte >= 0x80 && at < end) {
    byte = buffer[at++] ?? 0;
    ref += (byte & 0x7f) * scale;
    scale *= 128;
  }
  return buffer[at] === PUBLISHED_TAG && ref >= FIRST_REF ? ref - FIRST_REF : -1;
}
